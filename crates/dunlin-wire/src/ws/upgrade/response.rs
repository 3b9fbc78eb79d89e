//! The client's view of the answer to its upgrade request.

use super::super::limits::{HEAD_LEN_MAX, HEADER_COUNT_MAX};
use super::request::HttpError;
use super::{accept_key, has_token};

/// The parts of an HTTP response's head that decide about an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseHead<'a> {
    /// 101 for an accepted upgrade.
    pub status: u16,
    /// The words beside the status.
    pub reason: &'a str,
    /// Whether `Upgrade` names websocket and `Connection` names upgrade.
    pub is_upgrade: bool,
    /// The `Sec-WebSocket-Accept` header.
    pub websocket_accept: Option<&'a [u8]>,
    /// Whether the server chose an extension or a subprotocol.
    pub has_choice: bool,
}

/// A response that is not the acceptance of our upgrade.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The server answered as to an ordinary request: refused, redirected, or not a WebSocket server.
    #[error("server answered {status} {reason:?} to the upgrade")]
    Refused {
        /// The status.
        status: u16,
        /// The words beside it.
        reason: String,
    },
    /// 101, but `Upgrade` or `Connection` is missing or names something else.
    #[error("server switched to another protocol than WebSocket")]
    NotAnUpgrade,
    /// 101, but the key was not answered: whoever spoke did not understand the request.
    #[error("server did not answer the WebSocket key")]
    AcceptMismatch,
    /// The server chose an extension or a subprotocol, though none was offered.
    #[error("server chose an extension or subprotocol that was not offered")]
    UnofferedChoice,
}

/// Reads the head of a response; `None` when its end has not come. The number is the bytes it takes: what follows are frames.
///
/// A caller need not keep more than [`HEAD_LEN_MAX`] bytes: that many without an end are an error.
///
/// # Errors
///
/// [`HttpError`] when the bytes are no HTTP response or go over a limit.
pub fn parse_response(bytes: &[u8]) -> Result<Option<(ResponseHead<'_>, usize)>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADER_COUNT_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(bytes).map_err(HttpError::from_parser)? {
        httparse::Status::Complete(len) if len <= HEAD_LEN_MAX => len,
        httparse::Status::Partial if bytes.len() < HEAD_LEN_MAX => return Ok(None),
        _ => return Err(HttpError::HeadTooLong),
    };
    let (mut names_websocket, mut names_upgrade) = (false, false);
    let mut head = ResponseHead {
        status: response.code.unwrap_or_default(),
        reason: response.reason.unwrap_or_default(),
        is_upgrade: false,
        websocket_accept: None,
        has_choice: false,
    };
    for header in &*response.headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("upgrade") {
            names_websocket |= has_token(header.value, b"websocket");
        } else if is("connection") {
            names_upgrade |= has_token(header.value, b"upgrade");
        } else if is("sec-websocket-accept") {
            if head.websocket_accept.replace(header.value.trim_ascii()).is_some() {
                return Err(HttpError::HeaderRepeated { name: "Sec-WebSocket-Accept" });
            }
        } else if is("sec-websocket-extensions") || is("sec-websocket-protocol") {
            head.has_choice |= !header.value.trim_ascii().is_empty();
        }
    }
    head.is_upgrade = names_websocket && names_upgrade;
    Ok(Some((head, len)))
}

impl ResponseHead<'_> {
    /// Checks that the server accepted the upgrade asked for with `key`.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] when it did not.
    pub fn check_response(&self, key: &str) -> Result<(), ResponseError> {
        if self.status != 101 {
            return Err(ResponseError::Refused { status: self.status, reason: self.reason.to_owned() });
        }
        if !self.is_upgrade {
            return Err(ResponseError::NotAnUpgrade);
        }
        if self.websocket_accept != Some(accept_key(key).as_bytes()) {
            return Err(ResponseError::AcceptMismatch);
        }
        if self.has_choice {
            return Err(ResponseError::UnofferedChoice);
        }
        Ok(())
    }
}
