//! What every server of the bench does around its serving: say where it listens, and end with whoever started it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

/// Prints the line the bench waits for.
///
/// # Errors
///
/// When standard output is closed.
pub fn announce(addr: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "listening {addr}")?;
    out.flush()
}

/// Blocks until standard input ends, which is when the bench is over, however it ended.
pub fn wait_for_end() {
    let mut input = io::stdin();
    let mut ignored = [0; 64];
    while matches!(input.read(&mut ignored), Ok(len) if len > 0) {}
}

/// As many threads as `dunlin serve` has by default beside its shards: one for every two cores.
#[must_use]
pub fn workers() -> usize {
    (std::thread::available_parallelism().map_or(1, std::num::NonZero::get) / 2).max(1)
}
