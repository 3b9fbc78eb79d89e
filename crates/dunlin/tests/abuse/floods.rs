//! Too much at once: messages of some, connections of many.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Row;
use super::victim::{Client, PATIENCE, Victim, request};

const FLOODS: usize = 10;
const HONEST: usize = 40;
const CONNECTS: usize = 8_000;

fn percentile(mut took: Vec<Duration>, percent: usize) -> Duration {
    took.sort_unstable();
    took.get(took.len() * percent / 100).or(took.last()).copied().unwrap_or_default()
}

/// Honest clients that ask now and then; how long each answer took, and how many did not come.
fn honest(victim: &Victim, is_over: &AtomicBool) -> (Vec<Duration>, usize) {
    let mut clients: Vec<Client> = (0..HONEST).map(|_| victim.connect()).collect();
    clients.iter_mut().for_each(|client| client.come_in().unwrap());
    let (mut took, mut lost) = (Vec::new(), 0);
    while !is_over.load(Ordering::Relaxed) {
        for client in &mut clients {
            match client.ping() {
                Some(time) => took.push(time),
                None => lost += 1,
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    (took, lost)
}

/// Sends without end until it is closed. Returns how long that took.
fn flood(victim: &Victim, taken: &AtomicU64) -> Option<(Duration, u16)> {
    let mut client = victim.connect();
    client.upgrade("");
    let framed = |packets: &[u8]| {
        let mut out = Vec::new();
        dunlin_wire::ws::encode_binary(&mut out, packets, Some([1, 2, 3, 4]));
        out
    };
    client.send(&framed(b"\x01\x00\x00\x02{}")).send(&framed(&dunlin_wire::ACK_PACKET));
    let (start, batch) = (Instant::now(), framed(&request(2, 9, "Echo.drop", b"x")[..]).repeat(500));
    let mut reader = Client { socket: client.socket.try_clone().unwrap() };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while client.socket.write_all(&batch).is_ok() {
                taken.fetch_add(500, Ordering::Relaxed);
            }
        });
        let code = reader.close_code()?;
        Some((start.elapsed(), code))
    })
}

pub(crate) fn of_messages(victim: &Victim) -> Vec<Row> {
    let (is_over, taken) = (AtomicBool::new(false), AtomicU64::new(0));
    let quiet = std::thread::scope(|scope| {
        let quiet = scope.spawn(|| honest(victim, &is_over));
        std::thread::sleep(Duration::from_secs(1));
        is_over.store(true, Ordering::Relaxed);
        quiet.join().unwrap().0
    });
    is_over.store(false, Ordering::Relaxed);
    let before = victim.stats();
    let (ends, (took, lost)) = std::thread::scope(|scope| {
        let honest = scope.spawn(|| honest(victim, &is_over));
        let floods: Vec<_> = (0..FLOODS).map(|_| scope.spawn(|| flood(victim, &taken))).collect();
        let ends: Vec<_> = floods.into_iter().filter_map(|flood| flood.join().unwrap()).collect();
        is_over.store(true, Ordering::Relaxed);
        (ends, honest.join().unwrap())
    });
    let stats = victim.stats();
    let secs = ends.iter().map(|(time, _)| time.as_secs_f64()).fold(0.0, f64::max);
    let handled = stats.messages_in - before.messages_in - took.len() as u64;
    let each = handled as f64 / FLOODS as f64;
    let (calm, loud) = (percentile(quiet, 99), percentile(took.clone(), 99));
    let is_1008 = ends.iter().all(|(_, code)| *code == 1008);
    vec![Row {
        attack: "flood of messages",
        tried: format!("{FLOODS} clients that send without end beside {HONEST} honest ones"),
        wanted: "each held to 1,000 a second and closed with code 1008 after 10 s; every honest request answered",
        happened: format!(
            "{} closed with 1008 within {secs:.1} s, {each:.0} messages of each taken, {} counted; {} honest requests, {lost} lost, \
             99th percentile {:.1} ms ({:.1} ms before)",
            ends.len(),
            stats.floods,
            took.len(),
            loud.as_secs_f64() * 1e3,
            calm.as_secs_f64() * 1e3,
        ),
        is_held: ends.len() == FLOODS
            && is_1008
            && secs < 14.0
            && each < 14_000.0
            && lost == 0
            && stats.floods == FLOODS as u64,
    }]
}

pub(crate) fn of_connections(victim: &Victim) -> Vec<Row> {
    let mut guest = victim.connect();
    guest.come_in().unwrap();
    let start = Instant::now();
    let crowd = |count: usize| {
        let mut open = Vec::new();
        for _ in 0..count {
            // A kernel whose queue is full refuses some, which is as good.
            open.extend(TcpStream::connect_timeout(&victim.plain, PATIENCE).ok());
            if open.len() > 100 {
                open.clear();
            }
        }
    };
    let (mut slowest, mut lost) = (Duration::ZERO, 0);
    std::thread::scope(|scope| {
        let crowds: Vec<_> = (0..4).map(|_| scope.spawn(|| crowd(CONNECTS / 4))).collect();
        while !crowds.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            match guest.ping() {
                Some(time) => slowest = slowest.max(time),
                None => lost += 1,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let secs = start.elapsed().as_secs_f64();
    victim.comes_down_to(1, Duration::from_secs(5));
    let stats = victim.stats();
    // A new second, in which there is room again.
    std::thread::sleep(Duration::from_millis(1100));
    let honest = victim.honest();
    let seconds_begun = secs.ceil() + 1.0;
    let mut rest = Vec::new();
    guest.socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    guest.socket.read_to_end(&mut rest).ok();
    vec![Row {
        attack: "flood of connections",
        tried: format!("{CONNECTS} connections in {secs:.1} s beside a client that is in"),
        wanted: "2,000 a second let in, the others closed before anything is read of them; the client served throughout, new ones after a second",
        happened: format!(
            "{} let in, {} turned away; {lost} requests of the client lost, the slowest {} ms; a new client {}",
            stats.connections_opened - 1,
            stats.connections_shed,
            slowest.as_millis(),
            if honest.is_some() { "served" } else { "not served" }
        ),
        is_held: lost == 0
            && honest.is_some()
            && stats.connections_opened as f64 <= 2_000.0 * seconds_begun + 1.0,
    }]
}
