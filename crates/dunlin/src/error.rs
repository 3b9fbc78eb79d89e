//! The error a client can be answered with: a code, a message, and optional details.
//!
//! Handlers return it in place of a value, and the framework uses it for what it answers itself. What a client must
//! not see, the cause of an internal error, travels inside and is logged by the server. How an error becomes bytes is
//! in `error/body.rs`; which of our own failures become which code is in `error/from.rs`.

mod body;
mod ext;
mod from;

use std::borrow::Cow;
use std::fmt;

pub(crate) use body::{ClientForm, ErrorEncoder};
pub use ext::ResultExt;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What a handler returns: a value, or the [`Error`] its client is answered with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An answer in place of a value: a code, a message for people, and optional details for programs.
///
/// | code | constant | when the framework itself answers it |
/// |---|---|---|
/// | 400 | [`BAD_REQUEST`](Self::BAD_REQUEST) | the payload cannot be decoded |
/// | 401 | [`UNAUTHENTICATED`](Self::UNAUTHENTICATED) | the handler asks for a [`Uid`](crate::service::Uid) and the session has none |
/// | 403 | [`FORBIDDEN`](Self::FORBIDDEN) | never; for handlers |
/// | 404 | [`NOT_FOUND`](Self::NOT_FOUND) | nobody serves the route |
/// | 409 | [`CONFLICT`](Self::CONFLICT) | the session is bound to another uid, or is a member of the group already |
/// | 429 | [`RATE_LIMITED`](Self::RATE_LIMITED) | the session calls more often than a rate limit allows |
/// | 499 | [`CLOSED`](Self::CLOSED) | the session ended while the handler ran |
/// | 500 | [`INTERNAL`](Self::INTERNAL) | the handler panicked, or its answer cannot be serialised |
/// | 503 | [`UNAVAILABLE`](Self::UNAVAILABLE) | the service is stopping |
/// | 504 | [`TIMEOUT`](Self::TIMEOUT) | the handler did not finish in time |
/// | 529 | [`OVERLOADED`](Self::OVERLOADED) | the mailbox of a serial service, or another bounded queue, is full |
///
/// Codes from 1000 on are never used by the framework: they are free for applications.
///
/// ```
/// use dunlin::Error;
///
/// let error = Error::new(1001, "the table is full").with_details(serde_json::json!({ "seats": 4 }));
/// assert_eq!(error.code(), 1001);
/// assert_eq!(error.details().unwrap()["seats"], 4);
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    code: u32,
    message: Cow<'static, str>,
    details: Option<serde_json::Value>,
    cause: Option<Cause>,
}

impl Error {
    /// The request cannot be understood: its payload cannot be decoded, or its values make no sense.
    pub const BAD_REQUEST: u32 = 400;
    /// The session has not logged in.
    pub const UNAUTHENTICATED: u32 = 401;
    /// The user may not do this.
    pub const FORBIDDEN: u32 = 403;
    /// Nobody serves the route, or what the request names does not exist.
    pub const NOT_FOUND: u32 = 404;
    /// The request does not fit the present state.
    pub const CONFLICT: u32 = 409;
    /// The session calls too often.
    pub const RATE_LIMITED: u32 = 429;
    /// The session is over.
    pub const CLOSED: u32 = 499;
    /// Something failed that the client cannot mend.
    pub const INTERNAL: u32 = 500;
    /// The service is not there now.
    pub const UNAVAILABLE: u32 = 503;
    /// The answer did not come in time.
    pub const TIMEOUT: u32 = 504;
    /// A bounded queue is full: try again later.
    pub const OVERLOADED: u32 = 529;

    /// An error with a code and a message.
    #[must_use]
    pub fn new(code: u32, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { code, message: message.into(), details: None, cause: None }))
    }

    /// Adds details for programs. A value that cannot be written as JSON adds none.
    #[must_use]
    pub fn with_details(mut self, details: impl serde::Serialize) -> Self {
        self.0.details = serde_json::to_value(details).ok();
        self
    }

    /// Adds what caused the error. The server logs it; the client never sees it.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Code 400: the request cannot be understood.
    #[must_use]
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Self::BAD_REQUEST, message)
    }

    /// Code 401: the session has not logged in.
    #[must_use]
    pub fn unauthenticated(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Self::UNAUTHENTICATED, message)
    }

    /// Code 403: the user may not do this.
    #[must_use]
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Self::FORBIDDEN, message)
    }

    /// Code 404: what the request names does not exist.
    #[must_use]
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Self::NOT_FOUND, message)
    }

    /// Code 409: the request does not fit the present state.
    #[must_use]
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Self::CONFLICT, message)
    }

    /// Code 429: the session calls too often.
    #[must_use]
    pub fn rate_limited(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Self::RATE_LIMITED, message)
    }

    /// Code 500: something failed that the client cannot mend. Say no more than it may know.
    #[must_use]
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Self::INTERNAL, message)
    }

    /// Code 503: the service is not there now.
    #[must_use]
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Self::UNAVAILABLE, message)
    }

    /// Code 504: the answer did not come in time.
    #[must_use]
    pub fn timeout(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Self::TIMEOUT, message)
    }

    /// Code 529: a bounded queue is full.
    #[must_use]
    pub fn overloaded(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Self::OVERLOADED, message)
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> u32 {
        self.0.code
    }

    /// The message for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The details for programs, if there are any.
    #[must_use]
    pub fn details(&self) -> Option<&serde_json::Value> {
        self.0.details.as_ref()
    }

    /// What caused the error, if it is known and not for the client's eyes.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.0.message, self.0.code)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("details", &self.0.details)
            .field("cause", &self.0.cause)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

/// Writes an error and everything that caused it on one line, for a log.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word_so_that_results_stay_small() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
        assert_eq!(size_of::<Result<u64>>(), 2 * size_of::<usize>());
    }

    #[test]
    fn display_does_not_repeat_the_cause_and_the_chain_names_it_once() {
        let error = Error::internal("something failed").with_cause("the disk is on fire");
        assert_eq!(error.to_string(), "something failed (code 500)");
        assert_eq!(Chain(&error).to_string(), "something failed (code 500): the disk is on fire");
    }
}
