//! The handshake: what a client says of itself, what the server answers, and what follows for the bytes between them.
//!
//! Both bodies are JSON. Reading is lenient, because the fields differ between the three families of clients and servers;
//! writing is strict, because some of them read with care: keys are sorted, numbers stay integers, text is escaped to what the
//! oldest client can read. Field tables: `docs/protocol/handshake.md` in the repository.

mod abilities;
mod fields;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use abilities::{CAP_AWAY, CAP_ERROR, CAP_UTF8, CAP_ZLIB, ClientAbilities, ClientKind};
pub use request::{ClientSys, HandshakeRequest};
pub use response::{HandshakeResponse, ServerSys};

use crate::compress::InflateError;
use crate::text::TextError;

/// Why a handshake body cannot be understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It is not text.
    #[error("handshake is not text")]
    NotText {
        /// What is wrong with it.
        #[source]
        source: TextError,
    },
    /// It is not JSON.
    #[error("handshake is not JSON")]
    NotJson {
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The whole, or its field `sys`, is JSON but no object.
    #[error("handshake field {field:?} is not an object")]
    NotAnObject {
        /// The field; empty for the whole.
        field: &'static str,
    },
    /// A server's answer has no code, or one that is no number of 16 bits.
    #[error("handshake answer has no valid code")]
    NoCode,
    /// A server's answer is compressed and cannot be inflated.
    #[error("handshake answer cannot be inflated")]
    Inflate {
        /// What is wrong with it.
        #[source]
        source: InflateError,
    },
}
