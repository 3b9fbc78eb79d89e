//! What can go wrong: when connecting, with a request, with a notification.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use dunlin_wire::ws::{HttpError, ResponseError, UpgradeRequestError, WsError};
use dunlin_wire::{ClientError, EncodeError, ErrorBody, SendError};
use serde_json::Value;

use crate::limits::ERROR_TEXT_LEN_MAX;
use crate::state::CloseReason;
use crate::url::UrlError;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address cannot be understood.
    #[error("address cannot be understood")]
    Url(#[from] UrlError),
    /// No TCP connection: the name is unknown, nobody listens, or the network is away.
    #[error("cannot reach {host}:{port}")]
    Tcp {
        /// The host asked for.
        host: String,
        /// The port asked for.
        port: u16,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The TLS settings cannot be used.
    #[error("TLS settings cannot be used")]
    TlsConfig(#[source] rustls::Error),
    /// The host is not a name that a certificate can be for.
    #[error("host {host:?} cannot have a certificate")]
    TlsName {
        /// The host.
        host: String,
    },
    /// TLS failed: above all, the certificate is not trusted or is for another name.
    #[error("TLS with {host} failed")]
    Tls {
        /// The host.
        host: String,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
    /// The upgrade request cannot be written.
    #[error("WebSocket upgrade cannot be requested")]
    UpgradeRequest(#[source] UpgradeRequestError),
    /// The answer to the upgrade is no HTTP.
    #[error("answer to the WebSocket upgrade is no HTTP")]
    UpgradeHttp(#[source] HttpError),
    /// The server did not accept the upgrade.
    #[error("WebSocket upgrade was not accepted")]
    Upgrade(#[source] ResponseError),
    /// What the client says of itself does not fit a packet.
    #[error("handshake cannot be sent")]
    Handshake(#[source] SendError),
    /// The server did not let us in.
    #[error("server refused the handshake with code {code}{}", message_suffix(message))]
    Refused {
        /// Its code: 4xx is final, 5xx is not.
        code: u16,
        /// Its words, if any.
        message: Option<String>,
    },
    /// The server kicked us at once.
    #[error("server kicked us during the handshake: {reason}")]
    Kicked {
        /// Its words.
        reason: String,
    },
    /// The server closed the WebSocket before the handshake ended.
    #[error("closed by the server during the handshake{}", close_suffix(*code, reason))]
    Closed {
        /// Its close code, if it gave one.
        code: Option<u16>,
        /// Its words, perhaps empty.
        reason: String,
    },
    /// The connection ended before the handshake did.
    #[error("connection ended during the handshake")]
    Lost(#[source] io::Error),
    /// The server broke the protocol.
    #[error("server broke the protocol during the handshake")]
    Protocol(#[source] ProtocolFault),
    /// It took too long in all.
    #[error("connecting took longer than {timeout:?}")]
    TimedOut {
        /// The limit in force.
        timeout: Duration,
    },
}

/// Whether a close code says that trying again would only meet it again: broken framing, unfit payloads, broken rules.
pub(crate) const fn is_final_close(code: Option<u16>) -> bool {
    matches!(code, Some(1002 | 1003 | 1007..=1010))
}

/// What a server said when it closed, as far as it said anything.
pub(crate) fn close_suffix(code: Option<u16>, reason: &str) -> String {
    let code = code.map_or_else(String::new, |code| format!(" with code {code}"));
    if reason.is_empty() { code } else { format!("{code}: {reason}") }
}

fn message_suffix(message: &Option<String>) -> String {
    message.as_ref().map_or_else(String::new, |message| format!(": {message}"))
}

impl ConnectError {
    /// Whether the same attempt may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Tcp { .. } | Self::Lost(_) | Self::TimedOut { .. } | Self::Tls { .. } => true,
            Self::Refused { code, .. } => *code >= 500,
            Self::Closed { code, .. } => !is_final_close(*code),
            Self::Upgrade(ResponseError::Refused { status, .. }) => *status >= 500 || *status == 429,
            _ => false,
        }
    }
}

/// How a server broke the protocol.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolFault {
    /// Its packets or messages.
    #[error("packets cannot be understood")]
    Packets(#[from] ClientError),
    /// Its WebSocket frames.
    #[error("WebSocket frames cannot be understood")]
    WebSocket(#[from] WsError),
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The server answered with an error.
    #[error("server answered with an error")]
    Server(#[source] ServerError),
    /// No answer came in time. The server may or may not have acted.
    #[error("no answer within {timeout:?}")]
    TimedOut {
        /// The limit in force.
        timeout: Duration,
    },
    /// The connection ended while the request was under way. The server may or may not have acted.
    #[error("connection was lost while the request was under way")]
    Disconnected,
    /// There is no connection at the moment; the request was not sent.
    #[error("not connected at the moment")]
    NotConnected,
    /// The client is closed for good; the request was not sent.
    #[error("client is closed")]
    Closed {
        /// Why.
        #[source]
        reason: CloseReason,
    },
    /// As many requests as allowed wait for their answers; this one was not sent.
    #[error("{in_flight_max} requests wait for their answers")]
    TooManyInFlight {
        /// The limit in force.
        in_flight_max: usize,
    },
    /// The message is too long; it was not sent.
    #[error("request is too long")]
    TooLong(#[source] EncodeError),
    /// The value cannot be written as JSON; nothing was sent.
    #[error("request cannot be written as JSON")]
    Serialize(#[source] serde_json::Error),
    /// The answer is not the JSON expected.
    #[error("answer to {route} is not the JSON expected")]
    Deserialize {
        /// The route asked.
        route: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

impl RequestError {
    /// Whether the request certainly did not reach the server, so that sending it again cannot make it act twice.
    #[must_use]
    pub const fn is_unsent(&self) -> bool {
        match self {
            Self::NotConnected
            | Self::Closed { .. }
            | Self::TooManyInFlight { .. }
            | Self::TooLong(_)
            | Self::Serialize(_) => true,
            Self::Server(_) | Self::TimedOut { .. } | Self::Disconnected | Self::Deserialize { .. } => false,
        }
    }

    /// The server's error, if it is one.
    #[must_use]
    pub const fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) => Some(error),
            _ => None,
        }
    }

    pub(crate) fn from_send(error: SendError) -> Self {
        match error {
            SendError::TooManyInFlight { in_flight_max } => Self::TooManyInFlight { in_flight_max },
            SendError::Encode { source } => Self::TooLong(source),
            _ => Self::NotConnected,
        }
    }
}

/// Why a notification was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// There is no connection at the moment.
    #[error("not connected at the moment")]
    NotConnected,
    /// The client is closed for good.
    #[error("client is closed")]
    Closed {
        /// Why.
        #[source]
        reason: CloseReason,
    },
    /// The server has not taken what was sent before for as long as a request may take.
    #[error("connection took nothing for {timeout:?}")]
    TimedOut {
        /// The limit in force.
        timeout: Duration,
    },
    /// The message is too long.
    #[error("notification is too long")]
    TooLong(#[source] EncodeError),
    /// The value cannot be written as JSON.
    #[error("notification cannot be written as JSON")]
    Serialize(#[source] serde_json::Error),
}

/// An error the server answered with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (code {code})")]
#[non_exhaustive]
pub struct ServerError {
    /// What kind: 404 for a route nobody serves, and so on. 0 when the body has none.
    pub code: u32,
    /// For people.
    pub message: String,
    /// More for programs, if the server has more to say.
    pub details: Option<Value>,
    /// The body as it came.
    pub body: Bytes,
}

impl ServerError {
    /// Reads dunlin's form (`code`, `message`, `details`) and pitaya's (`"PIT-404"`, `msg`, `metadata`); any other body becomes the
    /// message.
    pub(crate) fn parse(body: ErrorBody) -> Self {
        let body = Bytes::from(body.payload);
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(&body) else {
            let text = String::from_utf8_lossy(&body);
            let message = text.chars().take(ERROR_TEXT_LEN_MAX).collect();
            return Self { code: 0, message, details: None, body };
        };
        let code = fields.get("code").map_or(0, code_of);
        let mut take = |names: [&str; 2]| names.into_iter().find_map(|name| fields.remove(name));
        let message = match take(["message", "msg"]) {
            Some(Value::String(message)) => message,
            _ => String::new(),
        };
        let details = take(["details", "metadata"]).filter(|details| !details.is_null());
        Self { code, message, details, body }
    }
}

/// The number of a code that may be written `404` or `"PIT-404"`.
fn code_of(code: &Value) -> u32 {
    match code {
        Value::String(text) => {
            let digits = text.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            digits.parse().unwrap_or(0)
        }
        code => code.as_u64().and_then(|code| u32::try_from(code).ok()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> (u32, String, Option<Value>) {
        let error = ServerError::parse(ErrorBody { payload: body.as_bytes().to_vec() });
        assert_eq!(error.body, body);
        (error.code, error.message, error.details)
    }

    #[test]
    fn error_bodies_of_dunlin_and_pitaya_are_read() {
        let details = serde_json::json!({"field": "name"});
        let ours = r#"{"code":400,"details":{"field":"name"},"message":"no name"}"#;
        assert_eq!(parse(ours), (400, "no name".to_owned(), Some(details)));
        let pitaya = r#"{"code":"PIT-404","msg":"no route","metadata":null}"#;
        assert_eq!(parse(pitaya), (404, "no route".to_owned(), None));
    }

    #[test]
    fn a_close_is_told_with_no_more_than_the_server_said() {
        let told = |code, reason: &str| CloseReason::ByServer { code, reason: reason.to_owned() }.to_string();
        assert_eq!(told(None, ""), "closed by the server");
        assert_eq!(told(Some(1001), ""), "closed by the server with code 1001");
        assert_eq!(told(Some(1001), "restart"), "closed by the server with code 1001: restart");
    }

    #[test]
    fn error_body_of_any_other_form_becomes_the_message() {
        assert_eq!(parse("plain"), (0, "plain".to_owned(), None));
        assert_eq!(parse("[1]"), (0, "[1]".to_owned(), None));
        assert_eq!(parse(""), (0, String::new(), None));
        assert_eq!(parse(r#"{"code":-1,"message":3}"#), (0, String::new(), None));
        assert_eq!(parse(r#"{"code":"none"}"#), (0, String::new(), None));
        assert_eq!(parse(&"é".repeat(1000)).1.chars().count(), ERROR_TEXT_LEN_MAX);
    }
}
