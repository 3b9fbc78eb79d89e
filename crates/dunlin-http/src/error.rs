//! What can go wrong between a request and its response, as one type with a kind.

use std::error::Error as StdError;
use std::{fmt, io};

use crate::key::ConnKey;
use crate::stats::CloseCause;

/// Any error, as hooks and bodies of users return it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why there is no response, or no rest of it.
///
/// It says its [`kind`](Self::kind), where the request was to go, and whether bytes of it left: a request of which
/// none left was certainly not seen by the server.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    target: Option<ConnKey>,
    has_sent: bool,
    source: Option<BoxError>,
}

/// What went wrong, sorted by what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request cannot be sent, by anybody. Nothing was done for it.
    InvalidRequest(InvalidRequest),
    /// No connection could be made.
    Dial,
    /// The proxy could not be reached, or made no tunnel.
    Proxy,
    /// TLS could not be agreed on: the certificate was refused, or no protocol or cipher fits.
    Tls,
    /// A time was up.
    Timeout(TimeoutKind),
    /// The caller gave up, by its token, or the connection was evicted under the request.
    Cancelled,
    /// The server closed the connection before the response, or in the middle of it.
    ClosedByPeer,
    /// A limit refused it.
    Limit(LimitKind),
    /// The server sent what is no HTTP.
    Protocol,
    /// The request's own body failed.
    Body,
}

/// What a request lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// The URI has no scheme, or one that is not HTTP's.
    #[error("its URI's scheme is not http or https")]
    Scheme,
    /// The URI names no host.
    #[error("its URI names no host")]
    Host,
    /// The `Content-Length` is not the length of the body.
    #[error("its Content-Length is not the length of its body")]
    ContentLength,
    /// The `Host` header cannot stand in a request line, which `CONNECT` needs.
    #[error("its Host is no authority")]
    Authority,
}

/// Which time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// `dial_timeout`: no connection in time.
    Dial,
    /// `tls_handshake_timeout`.
    TlsHandshake,
    /// `wait_timeout`: all connections that the host may have stayed busy.
    Wait,
    /// `response_header_timeout`: the request was sent and no response began.
    ResponseHeader,
    /// `read_timeout`: the socket was silent.
    Read,
    /// `write_timeout`: the socket took nothing.
    Write,
    /// The deadline of the whole exchange, see [`DeadlineLayer`](crate::layer::DeadlineLayer).
    Deadline,
}

/// Which limit refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// `max_waiting_per_host`: too many requests wait for a connection already.
    Waiting,
    /// `max_response_header_bytes` or `max_response_headers`: the response's head is too long.
    ResponseHeader,
    /// A [`ClientConn`](crate::ClientConn) has all the requests it can take.
    InFlight,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, target: None, has_sent: false, source: None }))
    }

    pub(crate) fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn to(mut self, target: &ConnKey) -> Self {
        self.0.target = Some(target.clone());
        self
    }

    pub(crate) fn having_sent(mut self, has_sent: bool) -> Self {
        self.0.has_sent = has_sent;
        self
    }

    pub(crate) fn timeout(kind: TimeoutKind) -> Self {
        Self::new(ErrorKind::Timeout(kind))
    }

    /// What hyper says, told as one of our kinds.
    pub(crate) fn from_hyper(error: hyper::Error) -> Self {
        let kind = kind_of(&error);
        Self::new(kind).because(error)
    }

    /// What it means for a request that the socket could not be written to.
    pub(crate) fn from_write(error: io::Error) -> Self {
        let deadline = error.get_ref().and_then(|inner| inner.downcast_ref::<IoDeadline>());
        let kind = deadline.map_or(ErrorKind::ClosedByPeer, |deadline| ErrorKind::Timeout(deadline.0));
        Self::new(kind).because(error)
    }

    /// What it means for a request that its connection was closed for this.
    pub(crate) fn from_close(cause: CloseCause) -> Self {
        match cause {
            CloseCause::Evicted | CloseCause::CloseIdle | CloseCause::Cancelled => {
                Self::new(ErrorKind::Cancelled)
            }
            _ => Self::new(ErrorKind::ClosedByPeer),
        }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where the request was to go, if it got so far.
    #[must_use]
    pub fn target(&self) -> Option<&ConnKey> {
        self.0.target.as_ref()
    }

    /// Whether bytes of the request left. `false`: the server has not seen it.
    #[must_use]
    pub fn has_sent_bytes(&self) -> bool {
        self.0.has_sent
    }

    /// Whether the request certainly did not reach the server, for a reason that may be gone the next time.
    pub(crate) fn is_unsent(&self) -> bool {
        let is_hopeless = matches!(self.0.kind, ErrorKind::InvalidRequest(_) | ErrorKind::Cancelled);
        !self.0.has_sent && !is_hopeless
    }

    /// Whether some time was up.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.kind.is_timeout()
    }

    /// Whether there never was a connection: dial, proxy or TLS failed.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        use TimeoutKind::{Dial, TlsHandshake};
        matches!(
            self.0.kind,
            ErrorKind::Dial | ErrorKind::Proxy | ErrorKind::Tls | ErrorKind::Timeout(Dial | TlsHandshake)
        )
    }

    /// Whether the caller itself gave up.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.kind == ErrorKind::Cancelled
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.kind)?;
        if let Some(target) = &self.0.target {
            write!(f, " ({target})")?;
        }
        Ok(())
    }
}

impl ErrorKind {
    pub(crate) const fn is_timeout(self) -> bool {
        matches!(self, Self::Timeout(_))
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::InvalidRequest(what) => return write!(f, "the request is invalid: {what}"),
            Self::Dial => "no connection could be made",
            Self::Proxy => "no connection could be made through the proxy",
            Self::Tls => "the TLS handshake failed",
            Self::Cancelled => "the request was cancelled",
            Self::ClosedByPeer => "the server closed the connection before the response was complete",
            Self::Protocol => "the server's response is not valid HTTP",
            Self::Body => "the request's body failed",
            Self::Timeout(TimeoutKind::Dial) => "no connection was made in time",
            Self::Timeout(TimeoutKind::TlsHandshake) => "the TLS handshake took too long",
            Self::Timeout(TimeoutKind::Wait) => "no connection became free in time",
            Self::Timeout(TimeoutKind::ResponseHeader) => "no response began in time",
            Self::Timeout(TimeoutKind::Read) => "the server sent nothing for too long",
            Self::Timeout(TimeoutKind::Write) => "the server took nothing for too long",
            Self::Timeout(TimeoutKind::Deadline) => "the deadline of the request has passed",
            Self::Limit(LimitKind::Waiting) => "too many requests wait for a connection to this host",
            Self::Limit(LimitKind::ResponseHeader) => "the response's head is too long",
            Self::Limit(LimitKind::InFlight) => "the connection has as many requests as it can take",
        };
        f.write_str(text)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// An IO deadline that passed, inside the [`io::Error`] that the wrapped socket returns.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{}", ErrorKind::Timeout(self.0))]
pub(crate) struct IoDeadline(pub(crate) TimeoutKind);

/// A response's head that is too long, inside the [`io::Error`] that the socket returns.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{}", ErrorKind::Limit(LimitKind::ResponseHeader))]
pub(crate) struct HeadTooLong;

pub(crate) fn kind_of(error: &hyper::Error) -> ErrorKind {
    if error.is_parse_too_large() {
        return ErrorKind::Limit(LimitKind::ResponseHeader);
    }
    if error.is_parse() {
        return ErrorKind::Protocol;
    }
    if error.is_user() {
        return ErrorKind::Body;
    }
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            let Some(inner) = error.get_ref() else { return ErrorKind::ClosedByPeer };
            if inner.is::<HeadTooLong>() {
                return ErrorKind::Limit(LimitKind::ResponseHeader);
            }
            let deadline = inner.downcast_ref::<IoDeadline>();
            return deadline.map_or(ErrorKind::ClosedByPeer, |deadline| ErrorKind::Timeout(deadline.0));
        }
        if let Some(error) = error.downcast_ref::<h2::Error>()
            && !error.is_io()
        {
            let is_end = error.is_go_away() || error.is_reset();
            return if is_end && error.is_remote() { ErrorKind::ClosedByPeer } else { ErrorKind::Protocol };
        }
        source = error.source();
    }
    ErrorKind::ClosedByPeer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_what_failed_and_where_and_leaves_its_source_to_the_chain() {
        let key = ConnKey::of(&"http://example.com:8080/".parse().unwrap()).unwrap();
        let error = Error::new(ErrorKind::Dial).to(&key).because(io::Error::other("no route"));
        assert_eq!(error.to_string(), "no connection could be made (http://example.com:8080)");
        assert_eq!(error.source().unwrap().to_string(), "no route");
    }

    #[test]
    fn a_timeout_of_the_dial_is_a_timeout_and_a_failure_to_connect() {
        let error = Error::timeout(TimeoutKind::Dial);
        assert!(error.is_timeout() && error.is_connect() && !error.is_cancelled());
        assert!(!Error::timeout(TimeoutKind::ResponseHeader).is_connect());
    }
}
