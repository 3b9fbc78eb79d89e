//! What a turn asks of the world: connections that are read and written without waiting, and news about them.
//!
//! Two networks implement it: `socket/` with real sockets and `memory.rs` with pipes inside the process.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::SlotKey;

/// One connection.
pub(crate) trait Conn: Send {
    /// Reads what is there. `Ok(0)` is the peer's end; `WouldBlock` means nothing is there now.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes what fits. `WouldBlock` means that nothing fits now.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Whether bytes that `write` accepted are still held back in the connection itself (TLS records).
    fn holds_back(&self) -> bool {
        false
    }
    /// Sends what is held back as far as it fits, and tells whether any of it went.
    fn flush(&mut self) -> io::Result<bool> {
        Ok(false)
    }
    /// Whether the stream's end was read already, behind what the last `read` brought.
    fn is_ended(&self) -> bool {
        false
    }
    /// What the next read may cost beyond moving bytes, in packets' worth of time.
    fn read_cost(&self) -> u32 {
        0
    }
    /// Says that nothing more will be written.
    fn shutdown_write(&mut self);
    /// Where the peer is, if it is anywhere.
    fn peer_addr(&self) -> Option<SocketAddr>;
}

/// News about one connection. Edge-triggered: it is not repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) key: SlotKey,
    pub(crate) is_readable: bool,
    pub(crate) is_writable: bool,
    /// The peer's end or an error is among what can be read.
    pub(crate) is_closed: bool,
    /// Nothing goes in either direction any more.
    pub(crate) is_lost: bool,
}

/// What an accept brought.
pub(crate) struct Accepted<C> {
    pub(crate) conn: C,
    /// Counts against its address's limit until it is dropped.
    pub(crate) permit: Option<super::socket::Permit>,
}

/// All connections of one shard.
pub(crate) trait Net: Send {
    type Conn: Conn;

    /// Fills `events` with at most `max` pieces of news; `true` when more may be waiting. `Pending`: there are none,
    /// and the task is woken when that changes.
    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut Vec<Event>,
        max: usize,
    ) -> Poll<io::Result<bool>>;

    /// The next new connection, if one can be taken now.
    fn accept(&mut self, now_ms: u64) -> Option<Accepted<Self::Conn>>;

    /// Stops accepting for good.
    fn stop_accepting(&mut self);

    /// Begins to watch a connection for what can be read.
    fn register(&mut self, conn: &mut Self::Conn, key: SlotKey) -> io::Result<()>;

    /// Watches, or stops watching, for room to write. Repeats the news about what can be read.
    fn watch_writable(&mut self, conn: &mut Self::Conn, key: SlotKey, is_wanted: bool) -> io::Result<()>;

    /// Ends the watch before a connection is dropped.
    fn deregister(&mut self, conn: &mut Self::Conn);
}
