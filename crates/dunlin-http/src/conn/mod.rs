//! One connection: who it is ([`ConnInfo`]), what its bytes say (`meter`, `io`), how it is made (`open`), and the right
//! to use it for one exchange ([`Lease`]).

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use http::HeaderValue;
use hyper::client::conn::{http1, http2};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::body::Upload;
use crate::config::Protocol;
use crate::key::ConnKey;
use crate::pool::{ConnId, Reuse};
use crate::stats::CloseCause;

mod io;
mod meter;
mod open;

pub(crate) use self::meter::{Mark, Meter, Traced};
pub(crate) use self::open::{open, read_buf_len_max};

/// A connection, as traces and [`Transport::evict`](crate::Transport::evict) see it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnInfo {
    /// Its number in its transport, never used twice.
    pub id: u64,
    /// What it is for.
    pub key: ConnKey,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Our end, where the dial said it.
    pub local_addr: Option<SocketAddr>,
    /// The other end, where the dial said it: the proxy's, if there is one.
    pub remote_addr: Option<SocketAddr>,
    /// When it was made, on tokio's clock.
    pub opened_at: Instant,
}

/// What all parts of a connection share.
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    pub(crate) info: ConnInfo,
    pub(crate) meter: Arc<Meter>,
    /// What `Host` says in most of its requests.
    host: Option<HeaderValue>,
    task: OnceLock<AbortHandle>,
    cause: Mutex<Option<CloseCause>>,
    /// Why its last exchange is its last one, if that was known when it began.
    last: OnceLock<CloseCause>,
    /// hyper closed it without being told to: an exchange was over after which there is no other one.
    has_ended_itself: AtomicBool,
    /// It was told to close, or is gone.
    closing: Notify,
    is_closing: AtomicBool,
    is_gone: AtomicBool,
}

impl Conn {
    pub(crate) fn new(id: ConnId, info: ConnInfo) -> Self {
        Self {
            id,
            host: host_header(&info.key),
            info,
            meter: Arc::new(Meter::new()),
            task: OnceLock::new(),
            cause: Mutex::new(None),
            last: OnceLock::new(),
            has_ended_itself: AtomicBool::new(false),
            closing: Notify::new(),
            is_closing: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
        }
    }

    /// What `Host` says where a request names this origin.
    pub(crate) fn host(&self, origin: &ConnKey) -> Option<HeaderValue> {
        let known =
            self.host.as_ref().filter(|host| host.as_bytes() == origin.authority().as_str().as_bytes());
        known.cloned().or_else(|| host_header(origin))
    }

    /// Lets the connection say goodbye and closes its socket: for one that is idle and whose senders are gone.
    pub(crate) fn close_gently(&self, cause: CloseCause) {
        self.set_cause(cause);
        self.is_closing.store(true, Ordering::Release);
        self.closing.notify_one();
    }

    /// Closes the socket at once. The cause given first is the one that counts.
    pub(crate) fn close(&self, cause: CloseCause) {
        self.set_cause(cause);
        self.meter.kill();
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    fn set_cause(&self, cause: CloseCause) {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
    }

    /// Why we closed it; `None` while it is open and when the peer did.
    pub(crate) fn cause(&self) -> Option<CloseCause> {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exchange that begins is the last one.
    pub(crate) fn ends_with_exchange(&self, cause: CloseCause) {
        // The cause given first is the one that counts.
        self.last.set(cause).ok();
    }

    /// What an exchange after which there is no other one is to be blamed on.
    pub(crate) fn cause_of_last(&self) -> CloseCause {
        self.last.get().copied().unwrap_or(CloseCause::Exchange)
    }

    /// Why the socket is closed, now that it is.
    pub(crate) fn cause_of_end(&self) -> CloseCause {
        let has_ended_itself = self.has_ended_itself.load(Ordering::Acquire);
        let unsaid = if has_ended_itself { self.cause_of_last() } else { CloseCause::Peer };
        self.cause().unwrap_or(unsaid)
    }

    /// Whether the socket is closed already.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    pub(crate) fn is_http1(&self) -> bool {
        self.info.protocol == Protocol::Http1
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("info", &self.info).finish_non_exhaustive()
    }
}

fn host_header(key: &ConnKey) -> Option<HeaderValue> {
    HeaderValue::from_str(key.authority().as_str()).ok()
}

/// hyper's end of a connection, to send requests with.
#[derive(Debug)]
pub(crate) enum Sender {
    Http1(http1::SendRequest<Upload>),
    Http2(http2::SendRequest<Upload>),
}

impl Sender {
    /// Ready when another request could be sent: HTTP/1 when the one before is over, request and response.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        match self {
            Self::Http1(sender) => sender.poll_ready(cx),
            Self::Http2(sender) => sender.poll_ready(cx),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        }
    }

    /// Another one for the same connection, where it takes several requests.
    pub(crate) fn share(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
        }
    }
}

/// Where a connection belongs to: the pool of a transport, or a [`ClientConn`](crate::ClientConn).
pub(crate) trait Home: Send + Sync + fmt::Debug {
    /// An exchange is over. Returns what became of the connection.
    fn release(
        &self,
        conn: &Arc<Conn>,
        sender: Sender,
        reuse: Result<(), CloseCause>,
    ) -> Result<(), CloseCause>;
    /// The socket is closed.
    fn closed(self: Arc<Self>, conn: &Arc<Conn>);
    /// The server takes no more requests; those on the connection go on.
    fn retired(self: Arc<Self>, conn: &Arc<Conn>);
    /// The server takes another number of streams.
    fn streams_changed(self: Arc<Self>, conn: &Arc<Conn>, streams_max: usize);
}

/// The right to one exchange on a connection. It must be given back; dropped, it gives itself back: as usable if it is
/// unused or one of many streams, else as cancelled.
pub(crate) struct Lease {
    pub(crate) conn: Arc<Conn>,
    pub(crate) reuse: Reuse,
    home: Arc<dyn Home>,
    sender: Option<Sender>,
    is_used: bool,
    is_last: bool,
}

impl Lease {
    pub(crate) fn new(home: Arc<dyn Home>, conn: Arc<Conn>, sender: Sender, reuse: Reuse) -> Self {
        Self { conn, reuse, home, sender: Some(sender), is_used: false, is_last: false }
    }

    /// The sender, for the exchange that begins.
    pub(crate) fn begin(&mut self) -> Option<&mut Sender> {
        self.is_used = true;
        self.sender.as_mut()
    }

    /// This exchange is the last of its connection, however it ends.
    pub(crate) fn end_with_this(&mut self) {
        self.is_last = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.sender.as_ref().is_none_or(Sender::is_closed)
    }

    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        match &mut self.sender {
            Some(sender) => sender.poll_ready(cx).map_err(drop),
            None => Poll::Ready(Err(())),
        }
    }

    /// Gives the connection back. `Err`: it can serve no other exchange.
    pub(crate) fn release(mut self, reuse: Result<(), CloseCause>) -> Result<(), CloseCause> {
        self.give_back(reuse)
    }

    /// Leaves the connection to whoever owns its socket now. Its slot is free when that is closed.
    pub(crate) fn detach(mut self) {
        self.conn.meter.upgraded();
        self.sender = None;
    }

    fn give_back(&mut self, reuse: Result<(), CloseCause>) -> Result<(), CloseCause> {
        // An HTTP/2 exchange that goes wrong is a stream that was reset; its connection is none the worse for it.
        let is_only_a_stream = !self.conn.is_http1() && !self.is_closed();
        let reuse = if is_only_a_stream { Ok(()) } else { reuse };
        let reuse = if self.is_last { reuse.and(Err(CloseCause::Exchange)) } else { reuse };
        match self.sender.take() {
            Some(sender) => self.home.release(&self.conn, sender, reuse),
            None => Ok(()),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What is cut short of HTTP/2 is one stream, which is reset.
        let is_broken = self.is_used && self.conn.is_http1();
        let reuse = if is_broken { Err(CloseCause::Cancelled) } else { Ok(()) };
        // What becomes of the connection is the pool's business.
        self.give_back(reuse).ok();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("conn", &self.conn).finish_non_exhaustive()
    }
}
