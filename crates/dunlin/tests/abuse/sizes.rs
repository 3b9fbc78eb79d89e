//! Lengths that nobody means: in headers, of packets, frames, routes and HTTP.

use std::time::Instant;

use dunlin_wire::PacketKind;

use super::Row;
use super::victim::{Client, End, PATIENCE, Victim, packet, request, resident};

const TRIES: usize = 1_000;

pub(crate) fn attack(victim: &Victim) -> Vec<Row> {
    vec![lengths(victim), handshake(victim), http(victim), routes(victim)]
}

/// Headers that announce what is never sent: refused by the header, with nothing kept for it.
fn lengths(victim: &Victim) -> Row {
    let lie = |bytes: &'static [u8], is_ws: bool| {
        move |victim: &Victim| {
            let mut client = victim.connect();
            if is_ws {
                client.upgrade("");
            } else {
                client.come_in();
            }
            client.send(bytes);
            client
        }
    };
    let frame_2_63 = lie(b"\x82\xff\x80\0\0\0\0\0\0\0abcd", true);
    let frame_2_40 = lie(b"\x82\xff\0\0\x01\0\0\0\0\0abcd", true);
    let packet_16_mib = lie(b"\x04\xff\xff\xff", false);
    let begun = Instant::now();
    let (mut closed, mut codes) = (0, Vec::new());
    // Once before memory is looked at, so that what is kept for all time is there.
    packet_16_mib(victim).end(PATIENCE);
    let before = resident();
    for n in 0..TRIES {
        match n % 3 {
            0 => codes.extend(frame_2_63(victim).close_code()),
            1 => codes.extend(frame_2_40(victim).close_code()),
            _ => closed += usize::from(packet_16_mib(victim).end(PATIENCE) != End::Open),
        }
    }
    let grown = (resident() - before).max(0);
    codes.sort_unstable();
    let refused = codes.len() + closed;
    codes.dedup();
    Row {
        attack: "huge lengths",
        tried: format!("{TRIES} headers of WebSocket frames of 2^63 and 2^40 bytes and of packets of 16 MiB"),
        wanted: "each refused by its header; less than 1 MiB of memory in all",
        happened: format!(
            "{refused} refused in {:.1} s, WebSockets with {codes:?}; {} KiB more memory",
            begun.elapsed().as_secs_f64(),
            grown / 1024
        ),
        is_held: refused == TRIES && grown < 1 << 20 && codes.iter().all(|code| matches!(code, 1002 | 1009)),
    }
}

fn handshake(victim: &Victim) -> Row {
    let mut client = victim.connect();
    let long = format!("{{\"user\":\"{}\"}}", "x".repeat(1 << 20));
    let refused = client.send(&packet(PacketKind::Handshake, long.as_bytes())).end(PATIENCE);
    let is_held = refused != End::Open && victim.honest().is_some();
    Row {
        attack: "a long handshake",
        tried: "a handshake of 1 MiB".to_owned(),
        wanted: "closed",
        happened: if is_held { "closed" } else { "open" }.to_owned(),
        is_held,
    }
}

fn http(victim: &Victim) -> Row {
    let ask = |head: String| Client::connect(victim.plain).send(head.as_bytes()).status();
    let line = "X-Long: ".to_owned() + &"x".repeat(1 << 20) + "\r\n";
    let statuses = [
        ask(format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20))),
        ask(format!("GET / HTTP/1.1\r\n{line}\r\n")),
        ask(format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1000))),
        ask("POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n".to_owned()),
    ];
    let said: Vec<u16> = statuses.iter().flatten().copied().collect();
    Row {
        attack: "long HTTP",
        tried: "a path of 1 MiB, a header of 1 MiB, 1,000 headers, a body of 100 GB".to_owned(),
        wanted: "refused in words of HTTP",
        happened: format!("{said:?}"),
        is_held: said.len() == 4 && said.iter().all(|status| matches!(status, 400 | 405 | 431)),
    }
}

/// Routes that nobody serves: counted as one number, answered, kept nowhere.
fn routes(victim: &Victim) -> Row {
    let mut client = victim.connect();
    client.come_in();
    let before = (victim.stats().unknown_routes, resident());
    let (mut refused, count) = (0, 1_500_u32);
    for n in 0..count {
        let route = format!("{n:x}.{}", "r".repeat(240));
        client.send(&request(0, 1, &route, b"{}"));
        refused +=
            u64::from(client.answer().is_some_and(|body| String::from_utf8_lossy(&body).contains("404")));
    }
    let inner = client.send(&request(0, 1, "Inner.secret", b"{}")).answer().unwrap_or_default();
    let is_inner_hidden = String::from_utf8_lossy(&inner).contains("404");
    let grown = (resident() - before.1).max(0) / 1024;
    let counted = victim.stats().unknown_routes - before.0;
    Row {
        attack: "made-up routes",
        tried: format!("{count} routes of 250 bytes, and one that is for nodes alone"),
        wanted: "code 404 for each, no memory kept",
        happened: format!(
            "{refused} answered 404, {counted} counted, {grown} KiB more memory; the inner route {}",
            if is_inner_hidden { "404" } else { "answered" }
        ),
        is_held: refused == u64::from(count) && is_inner_hidden && grown < 2048,
    }
}
