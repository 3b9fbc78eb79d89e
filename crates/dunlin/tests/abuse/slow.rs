//! Connections that take for ever: a byte a second, or none.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Row;
use super::victim::Victim;

const SLOW: usize = 500;
const SILENT: usize = 100;

/// What is sent a byte at a time: heads of HTTP, handshakes of packets, hellos of TLS.
const HEADS: [&[u8]; 3] = [
    b"GET /play HTTP/1.1\r\nHost: game.example\r\n",
    b"\x01\x00\x00\x40{\"sys\":{\"type\":\"slow\",\"version\":\"1\"},",
    b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaa",
];

pub(crate) fn attack(victim: &Victim) -> Vec<Row> {
    let mut slow: Vec<TcpStream> = (0..SLOW)
        .map(|n| TcpStream::connect(if n % 3 == 2 { victim.tls } else { victim.plain }).unwrap())
        .collect();
    let silent: Vec<TcpStream> = (0..SILENT).map(|_| TcpStream::connect(victim.plain).unwrap()).collect();
    let is_over = AtomicBool::new(false);
    let (honest, alive) = std::thread::scope(|scope| {
        let honest = scope.spawn(|| {
            let mut took = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                took.push(victim.honest());
                std::thread::sleep(Duration::from_millis(200));
            }
            took
        });
        let start = Instant::now();
        for second in 0..11 {
            for (n, socket) in slow.iter_mut().enumerate() {
                if let Some(byte) = HEADS[n % 3].get(second..=second) {
                    // Those that were closed take nothing any more.
                    socket.write_all(byte).ok();
                }
            }
            let next = Duration::from_secs(second as u64 + 1);
            std::thread::sleep(next.saturating_sub(start.elapsed()));
        }
        is_over.store(true, Ordering::Relaxed);
        let honest = honest.join().unwrap();
        // The last honest client may be on its way out; nobody else is there.
        victim.comes_down_to(0, Duration::from_millis(2500));
        (honest, victim.stats().connections())
    });
    let refused = honest.iter().filter(|took| took.is_none()).count();
    let slowest = honest.iter().flatten().max().copied().unwrap_or_default();
    let timed_out = victim.stats().handshakes_timed_out;
    drop(silent);
    let happened = format!(
        "{timed_out} closed by the deadline, {alive} alive after; {} honest clients, {refused} refused, the slowest {} ms",
        honest.len(),
        slowest.as_millis()
    );
    vec![Row {
        attack: "slow handshakes",
        tried: format!(
            "{SLOW} connections with a byte a second (HTTP, packets, TLS), {SILENT} that say nothing"
        ),
        wanted: "all gone after 10 s and their last words; no honest client refused",
        happened,
        is_held: alive == 0 && refused == 0 && timed_out == (SLOW + SILENT) as u64,
    }]
}
