//! How sockets are made: the hook [`Dial`], what it is told ([`DialContext`]) and what it gives ([`Connection`]).
//!
//! The way of a dial is in `establish.rs`: socket, proxy, TLS, deadlines.

use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::{fmt, io};

use http::uri::Authority;
use http::{Extensions, Uri};
use hyper_util::client::legacy::connect::{Connection as Connected, HttpInfo};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use crate::error::BoxError;
use crate::key::{ConnKey, Scheme};
use crate::trace::Trace;

mod deadline;
mod establish;
mod proxy;
mod tcp;
mod tls;

pub use self::deadline::DeadlineIo;
pub(crate) use self::establish::{Dialer, Order};
pub(crate) use self::proxy::{ProxyRule, Route};
pub(crate) use self::tcp::TcpDial;

/// What a connection is made of: a byte stream both ways.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

pub(crate) type BoxIo = Box<dyn Io>;

/// Where a socket is to lead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The scheme of the request, or of the proxy.
    pub scheme: Scheme,
    /// The host: a name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    authority: Authority,
}

impl Target {
    pub(crate) fn of_key(key: &ConnKey) -> Self {
        Self::new(key.scheme(), key.authority())
    }

    pub(crate) fn new(scheme: Scheme, authority: &Authority) -> Self {
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = authority.port_u16().unwrap_or(scheme.default_port());
        Self { scheme, host: bare.to_owned(), port, authority: authority.clone() }
    }

    /// As a URI, for connectors that take one.
    #[must_use]
    pub fn uri(&self) -> Uri {
        let built =
            Uri::builder().scheme(self.scheme.as_str()).authority(self.authority.clone()).path_and_query("/");
        // It is made of parts that were parts of a URI.
        built.build().unwrap_or_default()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What a dial is told.
#[derive(Clone)]
#[non_exhaustive]
pub struct DialContext {
    /// Where to.
    pub target: Target,
    /// The extensions of the request that asked for the dial. Its cancellation does not end the dial, unless
    /// [`OnCancelDial::Abort`](crate::OnCancelDial::Abort) is set: then the future is dropped.
    pub values: Arc<Extensions>,
    /// Its trace.
    pub trace: Option<Arc<dyn Trace>>,
}

impl fmt::Debug for DialContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialContext").field("target", &self.target).finish_non_exhaustive()
    }
}

/// What a dial gives: a byte stream, and what is known of it.
pub struct Connection {
    pub(crate) io: BoxIo,
    pub(crate) local_addr: Option<SocketAddr>,
    pub(crate) remote_addr: Option<SocketAddr>,
    pub(crate) is_http2: bool,
}

impl Connection {
    /// A connection of which nothing else is known.
    pub fn new(io: impl Io) -> Self {
        Self { io: Box::new(io), local_addr: None, remote_addr: None, is_http2: false }
    }

    /// With its two addresses.
    #[must_use]
    pub fn with_addrs(mut self, local: Option<SocketAddr>, remote: Option<SocketAddr>) -> Self {
        (self.local_addr, self.remote_addr) = (local, remote);
        self
    }

    /// Says that HTTP/2 was agreed on, for dials that do TLS themselves.
    #[must_use]
    pub fn with_http2(mut self) -> Self {
        self.is_http2 = true;
        self
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("local_addr", &self.local_addr)
            .field("remote_addr", &self.remote_addr)
            .field("is_http2", &self.is_http2)
            .finish_non_exhaustive()
    }
}

impl From<tokio::net::TcpStream> for Connection {
    fn from(stream: tokio::net::TcpStream) -> Self {
        let (local, remote) = (stream.local_addr().ok(), stream.peer_addr().ok());
        Self::new(stream).with_addrs(local, remote)
    }
}

#[cfg(unix)]
impl From<tokio::net::UnixStream> for Connection {
    fn from(stream: tokio::net::UnixStream) -> Self {
        Self::new(stream)
    }
}

/// The future of a dial.
pub type Dialing = Pin<Box<dyn Future<Output = Result<Connection, BoxError>> + Send>>;

/// Makes sockets. Closures from [`DialContext`] to a future of anything that is [`Into<Connection>`] are dials.
///
/// ```
/// use dunlin_http::Transport;
/// use dunlin_http::dial::DialContext;
///
/// let transport = Transport::builder()
///     .dial_context(|cx: DialContext| async move {
///         tokio::net::TcpStream::connect((cx.target.host.as_str(), cx.target.port)).await
///     })
///     .build();
/// ```
pub trait Dial: Send + Sync + 'static {
    /// Begins a dial. The future runs in a task of its own; it is dropped when `dial_timeout` is over.
    fn dial(&self, cx: DialContext) -> Dialing;
}

impl<F, Fut, C, E> Dial for F
where
    F: Fn(DialContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<C, E>> + Send + 'static,
    C: Into<Connection>,
    E: Into<BoxError>,
{
    fn dial(&self, cx: DialContext) -> Dialing {
        let dialing = self(cx);
        Box::pin(async move { dialing.await.map(Into::into).map_err(Into::into) })
    }
}

/// A dial that has its connection at once, without waiting: a pipe inside the process, a socket made before.
pub fn immediate<F, C, E>(make: F) -> impl Dial
where
    F: Fn(&DialContext) -> Result<C, E> + Send + Sync + 'static,
    C: Into<Connection> + Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    move |cx: DialContext| -> Ready<Result<C, E>> { ready(make(&cx)) }
}

/// A dial by a connector in the form of tower and hyper: `Service<Uri>`, such as hyper-util's `HttpConnector` or
/// hyper-rustls' `HttpsConnector`. What it says of addresses and HTTP/2 is believed.
pub fn from_service<S>(connector: S) -> impl Dial
where
    S: Service<Uri> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Response: hyper::rt::Read + hyper::rt::Write + Connected + Send + Unpin + 'static,
    S::Error: Into<BoxError>,
{
    move |cx: DialContext| {
        let mut connector = connector.clone();
        async move {
            std::future::poll_fn(|cx| connector.poll_ready(cx)).await.map_err(Into::into)?;
            let stream = connector.call(cx.target.uri()).await.map_err(Into::into)?;
            let connected = stream.connected();
            let mut extras = Extensions::new();
            connected.get_extras(&mut extras);
            let info = extras.get::<HttpInfo>();
            let (local, remote) = (info.map(HttpInfo::local_addr), info.map(HttpInfo::remote_addr));
            let mut connection = Connection::new(TokioIo::new(stream)).with_addrs(local, remote);
            connection.is_http2 = connected.is_negotiated_h2();
            Ok::<_, BoxError>(connection)
        }
    }
}

/// The plain form of a hook: it is told where to and nothing else.
pub(crate) fn from_target<F, Fut, C, E>(dial: F) -> impl Dial
where
    F: Fn(Target) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<C, E>> + Send + 'static,
    C: Into<Connection>,
    E: Into<BoxError>,
{
    move |cx: DialContext| dial(cx.target)
}

pub(crate) fn is_timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        next = error.source();
    }
    false
}
