//! Hooks on the life of one request, after Go's `net/http/httptrace`.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::conn::ConnInfo;
use crate::dial::Target;
use crate::key::ConnKey;
use crate::stats::CloseCause;

/// What the hooks see as an error.
pub type TraceError<'a> = &'a (dyn StdError + 'static);

/// Is told what happens to a request. Every method does nothing by default.
///
/// Put it on one request with [`RequestTrace`], or on all of them with [`Builder::trace`](crate::Builder::trace). Hooks
/// are called from the tasks of the transport, some while it works for others: they must not wait.
/// Hooks of a dial are called for the request that asked for it, also when another connection serves it in the end.
pub trait Trace: Send + Sync + 'static {
    /// A connection is wanted.
    fn get_conn(&self, _key: &ConnKey) {}
    /// A connection was found or made.
    fn got_conn(&self, _got: &GotConn<'_>) {}
    /// The exchange is over: its connection is kept, or why not. Not called for HTTP/2, as in Go.
    fn put_idle_conn(&self, _result: Result<(), CloseCause>) {}
    /// A name is looked up.
    fn dns_start(&self, _host: &str) {}
    /// A name was looked up.
    fn dns_done(&self, _host: &str, _result: Result<&[SocketAddr], TraceError<'_>>) {}
    /// A connection is being made. The attempts on several addresses of a name are one.
    fn connect_start(&self, _target: &Target) {}
    /// A connection was made, with the peer's address where there is one, or not.
    fn connect_done(&self, _target: &Target, _result: Result<Option<SocketAddr>, TraceError<'_>>) {}
    /// A TLS handshake begins.
    fn tls_handshake_start(&self) {}
    /// A TLS handshake ended; with the protocol of ALPN, if one was agreed on.
    fn tls_handshake_done(&self, _result: Result<Option<&[u8]>, TraceError<'_>>) {}
    /// The request's head was written to the socket. HTTP/1 only.
    fn wrote_headers(&self) {}
    /// The body waits for the server's leave.
    fn wait_100_continue(&self) {}
    /// The server gave leave.
    fn got_100_continue(&self) {}
    /// An informational response came. [`ControlFlow::Break`] ends the request as cancelled.
    fn got_1xx(&self, _status: StatusCode, _headers: &HeaderMap) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    /// The request was written to its end, or why not.
    fn wrote_request(&self, _result: Result<(), TraceError<'_>>) {}
    /// The first byte of the response came. With HTTP/2: its head.
    fn got_first_response_byte(&self) {}
}

/// The connection that a request got.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct GotConn<'a> {
    /// The connection.
    pub conn: &'a ConnInfo,
    /// Whether it had served before, or had been idle.
    pub is_reused: bool,
    /// For how long it had been idle; `None` when it came from its dial or from the request before.
    pub idle_for: Option<Duration>,
}

/// The trace of one request, to be put into its extensions:
/// `request.extensions_mut().insert(RequestTrace::new(trace))`.
#[derive(Clone)]
pub struct RequestTrace(pub(crate) Arc<dyn Trace>);

impl RequestTrace {
    /// Traces the request that carries it.
    #[must_use]
    pub fn new(trace: Arc<dyn Trace>) -> Self {
        Self(trace)
    }
}

impl std::fmt::Debug for RequestTrace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestTrace").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for dyn Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dyn Trace")
    }
}
