//! The server's view of an HTTP request: its head, and whether it is an upgrade we accept.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use super::super::limits::{HEAD_LEN_MAX, HEADER_COUNT_MAX};
use super::has_token;

/// A key is only echoed in a hash, so bits that a sloppy encoder left in its last character do no harm.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The base64 form of 16 bytes.
const KEY_LEN: usize = 24;

/// The parts of an HTTP request's head that decide about an upgrade or serve a page, borrowed from the bytes read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// `GET` for an upgrade.
    pub method: &'a str,
    /// Path and query as sent.
    pub path: &'a str,
    /// Whether it is HTTP/1.1 rather than 1.0.
    pub is_http_1_1: bool,
    /// The `Host` header.
    pub host: Option<&'a str>,
    /// The `Origin` header; browsers send it with every upgrade, others hardly ever.
    pub origin: Option<&'a str>,
    /// Whether `Upgrade` names websocket and `Connection` names upgrade.
    pub is_upgrade: bool,
    /// The `Sec-WebSocket-Key` header.
    pub websocket_key: Option<&'a str>,
    /// The `Sec-WebSocket-Version` header.
    pub websocket_version: Option<&'a str>,
    /// The `User-Agent` header, for logs.
    pub user_agent: Option<&'a str>,
    /// Whether a body follows (`Content-Length` other than 0, or `Transfer-Encoding`).
    pub has_body: bool,
}

/// Bytes that are no HTTP request or response we take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Not HTTP/1.
    #[error("malformed HTTP head")]
    Malformed(#[source] httparse::Error),
    /// Over [`HEAD_LEN_MAX`].
    #[error("HTTP head is longer than {HEAD_LEN_MAX} bytes")]
    HeadTooLong,
    /// Over [`HEADER_COUNT_MAX`].
    #[error("HTTP head has more than {HEADER_COUNT_MAX} headers")]
    TooManyHeaders,
    /// A header that may stand once stands twice, so that two readers could see two different requests.
    #[error("HTTP header {name} is repeated")]
    HeaderRepeated {
        /// The header.
        name: &'static str,
    },
    /// A header that decides is not text.
    #[error("HTTP header {name} is not text")]
    HeaderNotText {
        /// The header.
        name: &'static str,
    },
}

impl HttpError {
    /// The status to refuse a request with: 431 for a head over its limits, else 400.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::HeadTooLong | Self::TooManyHeaders => 431,
            _ => 400,
        }
    }

    pub(super) fn from_parser(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyHeaders,
            error => Self::Malformed(error),
        }
    }
}

/// A request that is not an upgrade we accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// Not a GET.
    #[error("a WebSocket is opened with GET")]
    MethodNotGet,
    /// HTTP/1.0 has no upgrade.
    #[error("a WebSocket needs HTTP/1.1")]
    HttpTooOld,
    /// An ordinary request.
    #[error("this address speaks WebSocket")]
    NotAnUpgrade,
    /// Another version than 13, the only one there is.
    #[error("only WebSocket version 13 is spoken here")]
    VersionUnsupported,
    /// No key, or not 16 bytes in base64.
    #[error("the Sec-WebSocket-Key header is missing or malformed")]
    KeyInvalid,
    /// HTTP/1.1 demands a Host.
    #[error("the Host header is missing")]
    HostMissing,
    /// Bytes of a body would be taken for frames.
    #[error("an upgrade must not have a body")]
    HasBody,
}

impl UpgradeError {
    /// The status to refuse with, for [`encode_refusal`](super::encode_refusal).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::MethodNotGet => 405,
            Self::NotAnUpgrade | Self::VersionUnsupported => 426,
            Self::HttpTooOld => 505,
            Self::KeyInvalid | Self::HostMissing | Self::HasBody => 400,
        }
    }
}

/// Reads the head of a request; `None` when its end has not come. The number is the bytes it takes: what follows belongs to the
/// protocol that comes next.
///
/// A caller need not keep more than [`HEAD_LEN_MAX`] bytes: that many without an end are an error.
///
/// # Errors
///
/// [`HttpError`] when the bytes are no HTTP request or go over a limit.
pub fn parse_request(bytes: &[u8]) -> Result<Option<(RequestHead<'_>, usize)>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADER_COUNT_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let len = match request.parse(bytes).map_err(HttpError::from_parser)? {
        httparse::Status::Complete(len) if len <= HEAD_LEN_MAX => len,
        httparse::Status::Partial if bytes.len() < HEAD_LEN_MAX => return Ok(None),
        _ => return Err(HttpError::HeadTooLong),
    };
    let mut head = RequestHead {
        method: request.method.unwrap_or_default(),
        path: request.path.unwrap_or_default(),
        is_http_1_1: request.version == Some(1),
        host: None,
        origin: None,
        is_upgrade: false,
        websocket_key: None,
        websocket_version: None,
        user_agent: None,
        has_body: false,
    };
    let (mut names_websocket, mut names_upgrade) = (false, false);
    for header in &*request.headers {
        match KnownHeader::of(header.name) {
            Some(KnownHeader::Host) => set_once(&mut head.host, "Host", header.value)?,
            Some(KnownHeader::Origin) => set_once(&mut head.origin, "Origin", header.value)?,
            Some(KnownHeader::Key) => set_once(&mut head.websocket_key, "Sec-WebSocket-Key", header.value)?,
            Some(KnownHeader::Version) => {
                set_once(&mut head.websocket_version, "Sec-WebSocket-Version", header.value)?;
            }
            Some(KnownHeader::UserAgent) => head.user_agent = std::str::from_utf8(header.value).ok(),
            Some(KnownHeader::Upgrade) => names_websocket |= has_token(header.value, b"websocket"),
            Some(KnownHeader::Connection) => names_upgrade |= has_token(header.value, b"upgrade"),
            Some(KnownHeader::ContentLength) => head.has_body |= header.value.trim_ascii() != b"0",
            Some(KnownHeader::TransferEncoding) => head.has_body = true,
            None => {}
        }
    }
    head.is_upgrade = names_websocket && names_upgrade;
    Ok(Some((head, len)))
}

#[derive(Debug, Clone, Copy)]
enum KnownHeader {
    Host,
    Origin,
    Key,
    Version,
    UserAgent,
    Upgrade,
    Connection,
    ContentLength,
    TransferEncoding,
}

impl KnownHeader {
    fn of(name: &str) -> Option<Self> {
        const NAMES: [(&str, KnownHeader); 9] = [
            ("host", KnownHeader::Host),
            ("origin", KnownHeader::Origin),
            ("sec-websocket-key", KnownHeader::Key),
            ("sec-websocket-version", KnownHeader::Version),
            ("user-agent", KnownHeader::UserAgent),
            ("upgrade", KnownHeader::Upgrade),
            ("connection", KnownHeader::Connection),
            ("content-length", KnownHeader::ContentLength),
            ("transfer-encoding", KnownHeader::TransferEncoding),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, header)| header)
    }
}

fn set_once<'a>(slot: &mut Option<&'a str>, name: &'static str, value: &'a [u8]) -> Result<(), HttpError> {
    let value = std::str::from_utf8(value).map_err(|_| HttpError::HeaderNotText { name })?;
    match slot.replace(value.trim()) {
        None => Ok(()),
        Some(_) => Err(HttpError::HeaderRepeated { name }),
    }
}

impl RequestHead<'_> {
    /// The path without its query.
    #[must_use]
    pub fn path_only(&self) -> &str {
        self.path.split_once('?').map_or(self.path, |(path, _)| path)
    }

    /// Checks that this is an upgrade to WebSocket version 13. The Origin is judged apart, by an
    /// [`OriginPolicy`](super::super::OriginPolicy).
    ///
    /// # Errors
    ///
    /// [`UpgradeError`], whose [`status`](UpgradeError::status) and text make the refusal.
    pub fn check_upgrade(&self) -> Result<(), UpgradeError> {
        if self.method != "GET" {
            return Err(UpgradeError::MethodNotGet);
        }
        if !self.is_http_1_1 {
            return Err(UpgradeError::HttpTooOld);
        }
        if !self.is_upgrade {
            return Err(UpgradeError::NotAnUpgrade);
        }
        if self.host.is_none_or(str::is_empty) {
            return Err(UpgradeError::HostMissing);
        }
        if self.websocket_version != Some("13") {
            return Err(UpgradeError::VersionUnsupported);
        }
        if !self.websocket_key.is_some_and(is_key) {
            return Err(UpgradeError::KeyInvalid);
        }
        if self.has_body {
            return Err(UpgradeError::HasBody);
        }
        Ok(())
    }
}

fn is_key(key: &str) -> bool {
    key.len() == KEY_LEN && KEY_BASE64.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}
