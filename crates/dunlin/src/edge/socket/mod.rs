//! Real sockets: a shard's listeners and connections in a poll of their own.

mod conn;
mod gate;
mod listen;
mod proxied;
mod tls;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use dunlin_poll::AwaitablePoll;
use mio::Interest;
use mio::net::TcpListener;

use self::conn::SocketConn;
pub(crate) use self::gate::{AcceptGate, AcceptLimits, Permit};
pub use self::listen::Listen;
pub(crate) use self::listen::{BoundListener, bind_shards};
use self::proxied::Proxied;
pub(crate) use self::proxied::Proxies;
pub use self::tls::{ServerTls, TlsError, TlsFiles};
use super::SlotKey;
use super::net::{Accepted, Event, Net};

/// How long no connection is accepted after the system had no descriptor left. A listener in an edge-triggered poll
/// gets no second edge, so it is simply tried again.
const PAUSE_MS: u64 = 100;
/// The last generation never names a connection; its keys name listeners.
const LISTENER_GENERATION: u32 = u32::MAX;
/// Connections turned away in one go before the shard does something else.
const SHED_MAX: usize = 64;

struct Listener {
    socket: TcpListener,
    tls: Option<Arc<ServerTls>>,
    /// Only these may connect, and they say who their clients are.
    proxies: Option<Arc<Proxies>>,
    may_accept: bool,
}

/// The sockets of one shard.
pub(crate) struct SocketNet {
    poll: AwaitablePoll,
    news: mio::Events,
    listeners: Vec<Listener>,
    /// The listener that is asked first, so that a crowd at one address does not keep others waiting.
    first: usize,
    gate: Arc<AcceptGate>,
    paused_until_ms: u64,
}

impl SocketNet {
    /// Takes over listeners. Must be called within the runtime of the shard's thread.
    pub(crate) fn new(
        bound: Vec<BoundListener>,
        gate: Arc<AcceptGate>,
        events_max: usize,
    ) -> io::Result<Self> {
        let poll = AwaitablePoll::new()?;
        let mut listeners = Vec::new();
        for (index, BoundListener { socket, tls, proxies }) in (0_u32..).zip(bound) {
            let mut socket = TcpListener::from_std(socket);
            let token = SlotKey { index, generation: LISTENER_GENERATION }.token();
            poll.registry().register(&mut socket, token, Interest::READABLE)?;
            listeners.push(Listener { socket, tls, proxies, may_accept: true });
        }
        Ok(Self {
            poll,
            news: mio::Events::with_capacity(events_max),
            listeners,
            first: 0,
            gate,
            paused_until_ms: 0,
        })
    }

    /// One attempt on one listener. `None`: it has nothing to give now.
    fn accept_from(
        listener: &mut Listener,
        gate: &Arc<AcceptGate>,
        now_ms: u64,
    ) -> Result<Option<Accepted<SocketConn>>, io::Error> {
        for _ in 0..SHED_MAX {
            match listener.socket.accept() {
                Ok((stream, peer)) => {
                    let proxies = listener.proxies.as_ref();
                    if proxies.is_some_and(|proxies| !proxies.have(peer.ip())) {
                        gate.refuse_stranger(peer.ip(), now_ms);
                        continue;
                    }
                    let from = Some(peer.ip()).filter(|_| proxies.is_none());
                    let Some(permit) = gate.admit(from, now_ms) else { continue };
                    // Packets are written whole; waiting for more would only delay them.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a new connection was lost at once");
                        continue;
                    }
                    let conn = match &listener.tls {
                        tls if proxies.is_some() => {
                            SocketConn::Proxied(Box::new(Proxied::new(stream, tls.clone(), gate.clone())))
                        }
                        None => SocketConn::Plain(stream),
                        Some(tls) => match tls.accept(stream) {
                            Ok(conn) => conn,
                            Err(error) => {
                                tracing::warn!(%error, "a TLS connection could not begin");
                                continue;
                            }
                        },
                    };
                    return Ok(Some(Accepted { conn, permit: Some(permit) }));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    listener.may_accept = false;
                    return Ok(None);
                }
                Err(error) if is_exhausted(&error) => return Err(error),
                // The client gave up before it was accepted.
                Err(_) => {}
            }
        }
        Ok(None)
    }
}

/// Whether the system has no descriptor or no memory for another socket.
fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let known = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| known.iter().any(|errno| errno.raw_os_error() == code))
}

impl Net for SocketNet {
    type Conn = SocketConn;

    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut Vec<Event>,
        _max: usize,
    ) -> Poll<io::Result<bool>> {
        let polled = self.poll.poll_events(cx, &mut self.news);
        if let Poll::Ready(Ok(_)) = &polled {
            for event in &self.news {
                let key = SlotKey::from_token(event.token());
                if key.generation == LISTENER_GENERATION {
                    if let Some(listener) = self.listeners.get_mut(key.index as usize) {
                        listener.may_accept = true;
                    }
                    continue;
                }
                events.push(Event {
                    key,
                    is_readable: event.is_readable(),
                    is_writable: event.is_writable(),
                    is_closed: event.is_read_closed() || event.is_error(),
                    is_lost: event.is_error() || event.is_write_closed(),
                });
            }
        }
        polled
    }

    fn accept(&mut self, now_ms: u64) -> Option<Accepted<SocketConn>> {
        if now_ms < self.paused_until_ms {
            return None;
        }
        let count = self.listeners.len();
        for turn in 0..count {
            let at = (self.first + turn) % count;
            let Some(listener) = self.listeners.get_mut(at).filter(|listener| listener.may_accept) else {
                continue;
            };
            match Self::accept_from(listener, &self.gate, now_ms) {
                Ok(Some(accepted)) => {
                    self.first = at + 1;
                    return Some(accepted);
                }
                Ok(None) => {}
                Err(error) => {
                    self.paused_until_ms = now_ms + PAUSE_MS;
                    self.gate.report_exhausted(&error, now_ms);
                    return None;
                }
            }
        }
        None
    }

    fn stop_accepting(&mut self) {
        self.listeners.clear();
    }

    fn register(&mut self, conn: &mut SocketConn, key: SlotKey) -> io::Result<()> {
        let stream = conn.stream_mut().ok_or(io::ErrorKind::NotConnected)?;
        self.poll.registry().register(stream, key.token(), Interest::READABLE)
    }

    fn watch_writable(&mut self, conn: &mut SocketConn, key: SlotKey, is_wanted: bool) -> io::Result<()> {
        let interest = if is_wanted { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let stream = conn.stream_mut().ok_or(io::ErrorKind::NotConnected)?;
        self.poll.registry().reregister(stream, key.token(), interest)
    }

    fn deregister(&mut self, conn: &mut SocketConn) {
        // Closing the socket would do; a refusal here changes nothing.
        if let Some(stream) = conn.stream_mut() {
            self.poll.registry().deregister(stream).ok();
        }
    }
}
