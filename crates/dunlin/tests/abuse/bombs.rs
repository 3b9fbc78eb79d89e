//! Little that is to become much, and noise.

use std::io::Write as _;
use std::time::{Duration, Instant};

use dunlin_wire::PacketKind;

use super::Row;
use super::victim::{Victim, packet, request, resident};

pub(crate) fn attack(victim: &Victim) -> Vec<Row> {
    vec![zip(victim), json(victim), pings(victim), noise(victim)]
}

fn zip(victim: &Victim) -> Row {
    let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    deflated.write_all(&vec![0; 50 << 20]).unwrap();
    let bomb = deflated.finish().unwrap();
    let mut client = victim.connect();
    client.come_in();
    let (before, start, mut refused) = (resident(), Instant::now(), 0);
    for _ in 0..100 {
        client.send(&request(0x10, 1, "Echo.ping", &bomb));
        refused +=
            usize::from(client.answer().is_some_and(|body| String::from_utf8_lossy(&body).contains("400")));
    }
    let (took, grown) = (start.elapsed(), (resident() - before).max(0) / 1024);
    let is_served = client.ping().is_some();
    Row {
        attack: "zip bomb",
        tried: format!("100 requests of {} KiB that inflate to 50 MiB each", bomb.len() / 1024),
        wanted: "code 400 at the limit of 256 KiB, the client served on",
        happened: format!(
            "{refused} answered 400, {} ms each, {grown} KiB more memory",
            took.as_millis() / 100
        ),
        is_held: refused == 100 && is_served && grown < 4 * 1024,
    }
}

fn json(victim: &Victim) -> Row {
    // As deep as a packet can be; a body of a hundred thousand is over its length already.
    let deep = "[".repeat(65_000);
    let deepest = "[".repeat(100_000);
    let mut client = victim.connect();
    client.come_in();
    let answer = client.send(&request(0, 1, "Json.len", deep.as_bytes())).answer().unwrap_or_default();
    let is_refused = String::from_utf8_lossy(&answer).contains("400");
    let is_served = client.ping().is_some();
    let over = |bytes: &[u8]| {
        let mut client = victim.connect();
        client.send(bytes).shut();
        client.end(Duration::from_secs(10)) != super::victim::End::Open
    };
    let handshakes = over(&packet(PacketKind::Handshake, deep.as_bytes()))
        && over(&packet(PacketKind::Handshake, format!("{{\"user\":{deep}").as_bytes()))
        && over(&request(0, 1, "Json.len", deepest.as_bytes()));
    Row {
        attack: "JSON bomb",
        tried: "65,000 brackets as a payload, as a handshake and in its `user`; 100,000 are over a packet's length".to_owned(),
        wanted: "code 400, or closed; no stack runs over",
        happened: format!(
            "the payload {}, the others {}",
            if is_refused { "answered 400" } else { "not refused" },
            if handshakes { "refused and closed" } else { "still open" }
        ),
        is_held: is_refused && is_served && handshakes && victim.honest().is_some(),
    }
}

/// Each ping must be answered, so an endless row of them would be endless work.
fn pings(victim: &Victim) -> Row {
    let mut client = victim.connect();
    client.upgrade("");
    let code = client.send(&b"\x89\x80abcd".repeat(300)).close_code();
    Row {
        attack: "pings",
        tried: "300 pings of WebSocket without a message between them".to_owned(),
        wanted: "closed with code 1008 at 256",
        happened: code.map_or("not closed".to_owned(), |code| format!("closed with code {code}")),
        is_held: code == Some(1008),
    }
}

fn noise(victim: &Victim) -> Row {
    const COUNT: u64 = 1_000;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut open = 0;
    for n in 0..COUNT {
        let mut bytes = Vec::new();
        for _ in 0..64 {
            // A generator of the simplest kind (xorshift), so that each run sends the same.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_be_bytes());
        }
        let mut client = victim.connect();
        match n % 3 {
            0 => {}
            1 => drop(client.come_in()),
            _ => drop(client.upgrade("")),
        }
        client.send(&bytes).shut();
        open += u64::from(client.end(Duration::from_secs(5)) == super::victim::End::Open);
    }
    let (stats, honest) = (victim.stats(), victim.honest());
    Row {
        attack: "noise",
        tried: format!(
            "{COUNT} connections with 512 random bytes: at once, after the handshake, in a WebSocket"
        ),
        wanted: "each closed, nothing panics, others are served",
        happened: format!(
            "{} closed, {} panics, an honest client {}",
            COUNT - open,
            stats.panics,
            if honest.is_some() { "served" } else { "not served" }
        ),
        is_held: open == 0 && stats.panics == 0 && honest.is_some(),
    }
}
