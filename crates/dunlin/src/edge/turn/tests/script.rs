//! A network that does what a test says: short reads and writes, full sockets, ends, errors and news out of order.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use super::super::super::SlotKey;
use super::super::super::net::{Accepted, Conn, Event, Net};

/// The test's hold on the network.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    lines: Vec<Line>,
    arrivals: VecDeque<usize>,
    news: VecDeque<Event>,
    is_over: bool,
}

/// One connection as the test sees it.
pub(super) struct Line {
    /// Where the turn keeps it, once it was accepted.
    pub(super) key: Option<SlotKey>,
    input: VecDeque<u8>,
    is_finished: bool,
    /// All that was written.
    pub(super) output: Vec<u8>,
    /// Bytes the socket still takes.
    pub(super) room: usize,
    /// Bytes one read brings, or one write takes, at most.
    pub(super) read_max: usize,
    pub(super) write_max: usize,
    wants_writable: bool,
    pub(super) is_shut: bool,
    pub(super) is_dropped: bool,
    /// Reads that brought something.
    pub(super) reads: usize,
}

impl Script {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// A client arrives; its socket takes everything unless told otherwise.
    pub(super) fn connect(&self) -> usize {
        let mut world = self.world();
        let at = world.lines.len();
        world.lines.push(Line {
            key: None,
            input: VecDeque::new(),
            is_finished: false,
            output: Vec::new(),
            room: usize::MAX,
            read_max: usize::MAX,
            write_max: usize::MAX,
            wants_writable: false,
            is_shut: false,
            is_dropped: false,
            reads: 0,
        });
        world.arrivals.push_back(at);
        at
    }

    pub(super) fn line<T>(&self, at: usize, look: impl FnOnce(&mut Line) -> T) -> T {
        look(&mut self.world().lines[at])
    }

    /// The client sends bytes.
    pub(super) fn send(&self, at: usize, bytes: &[u8]) {
        let mut world = self.world();
        world.lines[at].input.extend(bytes);
        world.tell_readable(at);
    }

    /// The client sends its last.
    pub(super) fn finish(&self, at: usize) {
        let mut world = self.world();
        world.lines[at].is_finished = true;
        world.tell_readable(at);
    }

    /// The client reads: its socket takes so many bytes more.
    pub(super) fn give_room(&self, at: usize, len: usize) {
        let mut world = self.world();
        let line = &mut world.lines[at];
        line.room = line.room.saturating_add(len);
        if let (Some(key), true) = (line.key, line.wants_writable) {
            world.news.push_back(event(key, false, true));
        }
    }

    /// News that nothing happened for.
    pub(super) fn tell(&self, news: Event) {
        self.world().news.push_back(news);
    }

    /// What was written since it was last asked for.
    pub(super) fn take_output(&self, at: usize) -> Vec<u8> {
        self.line(at, |line| std::mem::take(&mut line.output))
    }
}

/// Plain news about one connection.
pub(super) fn event(key: SlotKey, is_readable: bool, is_writable: bool) -> Event {
    Event { key, is_readable, is_writable, is_closed: false, is_lost: false }
}

impl World {
    fn tell_readable(&mut self, at: usize) {
        let line = &self.lines[at];
        if let Some(key) = line.key {
            let is_closed = line.is_finished;
            self.news.push_back(Event { is_closed, ..event(key, true, false) });
        }
    }
}

/// The turn's half of a line.
pub(super) struct ScriptConn {
    script: Script,
    at: usize,
}

impl Conn for ScriptConn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut world = self.script.world();
        let line = &mut world.lines[self.at];
        if line.input.is_empty() {
            return if line.is_finished { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        line.reads += 1;
        let len = buffer.len().min(line.input.len()).min(line.read_max.max(1));
        for (to, from) in buffer.iter_mut().zip(line.input.drain(..len)) {
            *to = from;
        }
        if len < buffer.len() && !line.input.is_empty() {
            // The rest is as if it came a moment later.
            world.tell_readable(self.at);
        }
        Ok(len)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut world = self.script.world();
        let line = &mut world.lines[self.at];
        assert!(!line.is_shut, "nothing is written after the end");
        let len = bytes.len().min(line.room).min(line.write_max.max(1));
        if len == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if line.room != usize::MAX {
            line.room -= len;
        }
        line.output.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn shutdown_write(&mut self) {
        self.script.line(self.at, |line| line.is_shut = true);
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }
}

impl Drop for ScriptConn {
    fn drop(&mut self) {
        self.script.line(self.at, |line| line.is_dropped = true);
    }
}

/// The turn's half of the network.
pub(super) struct ScriptNet(pub(super) Script);

impl Net for ScriptNet {
    type Conn = ScriptConn;

    fn poll_events(
        &mut self,
        _: &mut Context<'_>,
        events: &mut Vec<Event>,
        max: usize,
    ) -> Poll<io::Result<bool>> {
        let mut world = self.0.world();
        let count = world.news.len().min(max);
        events.extend(world.news.drain(..count));
        if count == 0 { Poll::Pending } else { Poll::Ready(Ok(!world.news.is_empty())) }
    }

    fn accept(&mut self, _: u64) -> Option<Accepted<ScriptConn>> {
        let mut world = self.0.world();
        if world.is_over {
            return None;
        }
        let at = world.arrivals.pop_front()?;
        Some(Accepted { conn: ScriptConn { script: self.0.clone(), at }, permit: None })
    }

    fn stop_accepting(&mut self) {
        self.0.world().is_over = true;
    }

    fn register(&mut self, conn: &mut ScriptConn, key: SlotKey) -> io::Result<()> {
        let mut world = self.0.world();
        world.lines[conn.at].key = Some(key);
        if !world.lines[conn.at].input.is_empty() {
            world.tell_readable(conn.at);
        }
        Ok(())
    }

    fn watch_writable(&mut self, conn: &mut ScriptConn, key: SlotKey, is_wanted: bool) -> io::Result<()> {
        let mut world = self.0.world();
        let line = &mut world.lines[conn.at];
        line.wants_writable = is_wanted;
        let (has_room, has_input) = (line.room > 0, !line.input.is_empty() || line.is_finished);
        if is_wanted && has_room {
            world.news.push_back(event(key, false, true));
        }
        if has_input {
            world.tell_readable(conn.at);
        }
        Ok(())
    }

    fn deregister(&mut self, conn: &mut ScriptConn) {
        let mut world = self.0.world();
        world.lines[conn.at].key = None;
    }
}
