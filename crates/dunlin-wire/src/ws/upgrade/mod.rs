//! The HTTP/1.1 exchange that turns a connection into a WebSocket, both sides, on top of `httparse`.
//!
//! Server: [`request`] reads and judges the request; [`encode_accept`] and [`encode_refusal`] answer it. Client:
//! [`encode_request`] asks and [`response`] reads and judges the answer.

pub(super) mod request;
pub(super) mod response;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What RFC 6455 has the server append to the key before hashing.
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `Sec-WebSocket-Accept` value that answers a `Sec-WebSocket-Key`.
#[must_use]
pub fn accept_key(key: &str) -> String {
    let mut sha1 = sha1_smol::Sha1::new();
    sha1.update(key.as_bytes());
    sha1.update(ACCEPT_GUID);
    STANDARD.encode(sha1.digest().bytes())
}

/// The `Sec-WebSocket-Key` of 16 random bytes, which the caller draws anew for each connection.
#[must_use]
pub fn websocket_key(nonce: [u8; 16]) -> String {
    STANDARD.encode(nonce)
}

/// Appends the 101 response that accepts an upgrade with this key.
pub fn encode_accept(key: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    out.extend_from_slice(accept_key(key).as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

/// Appends a whole response that refuses a request: `reason` is its body, as plain text. The connection is closed after it.
///
/// 405 says which method is allowed, 426 which protocol and version.
pub fn encode_refusal(status: u16, reason: &str, out: &mut Vec<u8>) {
    let phrase = status_phrase(status);
    let extra = match status {
        405 => "Allow: GET\r\n",
        426 => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        _ => "",
    };
    // A 426 names its protocol in Upgrade, and Connection must list that header.
    let connection = if status == 426 { "Upgrade, close" } else { "close" };
    let head = format!(
        "HTTP/1.1 {status} {phrase}\r\nConnection: {connection}\r\n{extra}Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {len}\r\n\r\n{reason}",
        len = reason.len(),
    );
    out.extend_from_slice(head.as_bytes());
}

const fn status_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Refused",
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Copy)]
pub struct UpgradeRequest<'a> {
    /// The `Host` header: name or address, and the port unless it is the scheme's own.
    pub host: &'a str,
    /// Path and query, beginning with `/`.
    pub path: &'a str,
    /// From [`websocket_key`].
    pub key: &'a str,
    /// The `Origin` header, which only browsers need.
    pub origin: Option<&'a str>,
    /// More headers, for example `Authorization`.
    pub headers: &'a [(&'a str, &'a str)],
}

/// A request that cannot be written as HTTP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeRequestError {
    /// The path is empty, does not begin with `/`, or holds a space or a control character.
    #[error("path {path:?} cannot be requested")]
    Path {
        /// The path.
        path: String,
    },
    /// The name is not a header name, or is one that the upgrade itself writes.
    #[error("header name {name:?} is not allowed")]
    HeaderName {
        /// The name.
        name: String,
    },
    /// The value holds a control character.
    #[error("value of header {name:?} holds a control character")]
    HeaderValue {
        /// The header's name.
        name: String,
    },
}

/// Appends the request that asks for an upgrade.
///
/// # Errors
///
/// [`UpgradeRequestError`] when a part would break out of its line; `out` is then as it was.
pub fn encode_request(request: &UpgradeRequest<'_>, out: &mut Vec<u8>) -> Result<(), UpgradeRequestError> {
    let UpgradeRequest { host, path, key, origin, headers } = *request;
    let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_path {
        return Err(UpgradeRequestError::Path { path: path.to_owned() });
    }
    let ours = [("Host", host), ("Sec-WebSocket-Key", key)];
    let origin = origin.map(|origin| ("Origin", origin));
    for (name, value) in ours.iter().chain(origin.iter()).chain(headers) {
        if value.chars().any(char::is_control) {
            return Err(UpgradeRequestError::HeaderValue { name: (*name).to_owned() });
        }
    }
    for (name, _) in headers {
        if !is_free_header_name(name) {
            return Err(UpgradeRequestError::HeaderName { name: (*name).to_owned() });
        }
    }
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
    );
    for (name, value) in origin.iter().chain(headers) {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    out.extend_from_slice(head.as_bytes());
    Ok(())
}

/// Whether a caller may add a header of this name: a token, and none that decides the upgrade or would give the request a body.
fn is_free_header_name(name: &str) -> bool {
    const OURS: [&str; 7] =
        ["host", "upgrade", "connection", "origin", "content-length", "transfer-encoding", "expect"];
    let is_token = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    let is_ours = OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours));
    let is_websocket = name.to_ascii_lowercase().starts_with("sec-websocket-");
    is_token && !is_ours && !is_websocket
}

/// Whether a header that is a comma-separated list holds `token`, in any case.
fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|&byte| byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}
