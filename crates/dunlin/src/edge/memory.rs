//! Connections inside the process: a client half that can be awaited and a server half that a shard reads and writes.
//!
//! They serve tests and tools that want the whole path of a message without sockets. Both directions are bounded, so
//! a client that does not read is as slow here as on a network.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::task::AtomicWaker;

use super::SlotKey;
use super::net::{Accepted, Conn, Event, Net};

/// Bytes one direction of a pipe holds.
const PIPE_LEN: usize = 64 * 1024;

/// Both directions of one connection.
#[derive(Default)]
struct Pipe {
    state: Mutex<PipeState>,
    client: AtomicWaker,
}

#[derive(Default)]
struct PipeState {
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    is_client_gone: bool,
    is_server_gone: bool,
    /// Set when the shard watches the pipe.
    key: Option<SlotKey>,
    wants_writable: bool,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the client halves and the shard share.
#[derive(Default)]
struct Hub {
    waker: AtomicWaker,
    state: Mutex<HubState>,
}

#[derive(Default)]
struct HubState {
    arrivals: VecDeque<Arc<Pipe>>,
    events: VecDeque<Event>,
    is_closed: bool,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: Event) {
        self.lock().events.push_back(event);
        self.waker.wake();
    }
}

/// Makes connections to a shard of this process.
#[derive(Clone)]
pub(crate) struct MemoryConnector(Arc<Hub>);

impl MemoryConnector {
    /// A new connection; `None` when the shard accepts none any more.
    pub(crate) fn connect(&self) -> Option<MemoryPipe> {
        let pipe = Arc::<Pipe>::default();
        {
            let mut hub = self.0.lock();
            if hub.is_closed {
                return None;
            }
            hub.arrivals.push_back(pipe.clone());
        }
        self.0.waker.wake();
        Some(MemoryPipe { pipe, hub: self.0.clone() })
    }
}

/// The client's half of a connection. Dropping it ends the connection.
pub(crate) struct MemoryPipe {
    pipe: Arc<Pipe>,
    hub: Arc<Hub>,
}

impl MemoryPipe {
    /// Hands bytes to the server as far as they fit, and returns how many did.
    pub(crate) fn write(&self, bytes: &[u8]) -> usize {
        let (taken, key) = {
            let mut state = self.pipe.lock();
            let taken = bytes.len().min(PIPE_LEN - state.to_server.len());
            state.to_server.extend(bytes.iter().take(taken));
            (taken, state.key)
        };
        if let (Some(key), true) = (key, taken > 0) {
            self.hub.tell(Event {
                key,
                is_readable: true,
                is_writable: false,
                is_closed: false,
                is_lost: false,
            });
        }
        taken
    }

    /// Takes what the server sent. `Ready(0)`: the server ended the connection.
    pub(crate) fn poll_read(&self, cx: &Context<'_>, into: &mut Vec<u8>) -> Poll<usize> {
        self.pipe.client.register(cx.waker());
        let (len, room_for) = {
            let mut state = self.pipe.lock();
            let len = state.to_client.len();
            into.extend(state.to_client.drain(..));
            if len == 0 && !state.is_server_gone {
                return Poll::Pending;
            }
            (len, if state.wants_writable { state.key } else { None })
        };
        if let Some(key) = room_for {
            self.hub.tell(Event {
                key,
                is_readable: false,
                is_writable: true,
                is_closed: false,
                is_lost: false,
            });
        }
        Poll::Ready(len)
    }

    /// Who waits for room to write, or for bytes, is woken by any progress of the server.
    pub(crate) fn register(&self, waker: &Waker) {
        self.pipe.client.register(waker);
    }
}

impl Drop for MemoryPipe {
    fn drop(&mut self) {
        let key = {
            let mut state = self.pipe.lock();
            state.is_client_gone = true;
            state.key
        };
        if let Some(key) = key {
            self.hub.tell(Event {
                key,
                is_readable: true,
                is_writable: false,
                is_closed: true,
                is_lost: false,
            });
        }
    }
}

/// The server's half of a connection.
pub(crate) struct MemoryConn(Arc<Pipe>);

impl Conn for MemoryConn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.to_server.is_empty() {
            return if state.is_client_gone { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let len = buffer.len().min(state.to_server.len());
        for (to, from) in buffer.iter_mut().zip(state.to_server.drain(..len)) {
            *to = from;
        }
        drop(state);
        self.0.client.wake();
        Ok(len)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.is_client_gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let len = bytes.len().min(PIPE_LEN - state.to_client.len());
        if len == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.to_client.extend(bytes.iter().take(len));
        drop(state);
        self.0.client.wake();
        Ok(len)
    }

    fn shutdown_write(&mut self) {
        self.0.lock().is_server_gone = true;
        self.0.client.wake();
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }
}

impl Drop for MemoryConn {
    fn drop(&mut self) {
        self.shutdown_write();
    }
}

/// The connections of one in-process shard.
pub(crate) struct MemoryNet {
    hub: Arc<Hub>,
}

impl MemoryNet {
    pub(crate) fn new() -> (Self, MemoryConnector) {
        let hub = Arc::<Hub>::default();
        (Self { hub: hub.clone() }, MemoryConnector(hub))
    }
}

impl Net for MemoryNet {
    type Conn = MemoryConn;

    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut Vec<Event>,
        max: usize,
    ) -> Poll<io::Result<bool>> {
        self.hub.waker.register(cx.waker());
        let mut hub = self.hub.lock();
        let count = hub.events.len().min(max);
        events.extend(hub.events.drain(..count));
        if count == 0 {
            return Poll::Pending;
        }
        Poll::Ready(Ok(!hub.events.is_empty()))
    }

    fn accept(&mut self, _now_ms: u64) -> Option<Accepted<MemoryConn>> {
        let pipe = self.hub.lock().arrivals.pop_front()?;
        Some(Accepted { conn: MemoryConn(pipe), permit: None })
    }

    fn stop_accepting(&mut self) {
        let mut hub = self.hub.lock();
        hub.is_closed = true;
        // Those who arrived and were not accepted see the end of their connection.
        for pipe in hub.arrivals.drain(..) {
            drop(MemoryConn(pipe));
        }
    }

    fn register(&mut self, conn: &mut MemoryConn, key: SlotKey) -> io::Result<()> {
        conn.0.lock().key = Some(key);
        Ok(())
    }

    fn watch_writable(&mut self, conn: &mut MemoryConn, key: SlotKey, is_wanted: bool) -> io::Result<()> {
        let mut state = conn.0.lock();
        state.wants_writable = is_wanted;
        let has_room = state.to_client.len() < PIPE_LEN;
        drop(state);
        if is_wanted && has_room {
            self.hub.tell(Event {
                key,
                is_readable: false,
                is_writable: true,
                is_closed: false,
                is_lost: false,
            });
        }
        Ok(())
    }

    fn deregister(&mut self, conn: &mut MemoryConn) {
        conn.0.lock().key = None;
    }
}

impl Drop for MemoryNet {
    fn drop(&mut self) {
        self.stop_accepting();
    }
}
