//! How values become payloads and back: JSON, protobuf, or a serializer of the application's own.
//!
//! JSON is an arm of an enum and not a trait object, so that the usual case is compiled for each type. What is read
//! may be CESU-8 from old JavaScript clients; what is written is plain UTF-8, escaped later for those who need it.

mod custom;
mod json;

use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use custom::Serializer;

/// Why a value could not be written as a payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SerializeError {
    /// The serializer refused the value.
    #[error("`{type_name}` cannot be written as {serializer}: {detail}")]
    Value {
        /// The serializer's name.
        serializer: &'static str,
        /// The Rust type of the value.
        type_name: &'static str,
        /// What the serializer said.
        detail: String,
    },
    /// The application speaks protobuf and the value is no protobuf message.
    #[error(
        "`{type_name}` is no protobuf message; answer with `Proto<T>`, or derive the event with `protobuf`"
    )]
    NotProtobuf {
        /// The Rust type of the value.
        type_name: &'static str,
    },
}

/// Why a payload could not be read as a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeserializeError {
    /// The payload is not what the type needs.
    #[error("the payload cannot be read as {serializer}: {detail}")]
    Malformed {
        /// The serializer's name.
        serializer: &'static str,
        /// What the serializer said, cut to a bounded length.
        detail: String,
    },
    /// The application speaks protobuf and the type is no protobuf message.
    #[error("`{type_name}` is no protobuf message; take the payload as `Proto<T>`")]
    NotProtobuf {
        /// The Rust type asked for.
        type_name: &'static str,
    },
}

/// The longest detail of a [`DeserializeError`]: it may quote the client's own bytes and goes back to that client.
const DETAIL_LEN_MAX: usize = 200;

impl DeserializeError {
    /// A malformed payload; a long `detail` is cut.
    #[must_use]
    pub fn malformed(serializer: &'static str, detail: impl fmt::Display) -> Self {
        let mut detail = detail.to_string();
        if detail.len() > DETAIL_LEN_MAX {
            detail.truncate(floor_char_boundary(&detail, DETAIL_LEN_MAX));
            detail.push('…');
        }
        Self::Malformed { serializer, detail }
    }
}

/// The largest character boundary of a string that is not over a length.
fn floor_char_boundary(text: &str, len: usize) -> usize {
    (0..=len.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Payloads are JSON; what an application speaks unless told otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

/// Payloads are protobuf messages: handlers take and answer [`Proto<T>`](crate::service::Proto), and events are
/// derived with `#[event("route", protobuf)]`. The handshake announces `protobuf`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Protobuf;

/// The serializer of an application or a service.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum SerializerKind {
    /// See [`Json`].
    #[default]
    Json,
    /// See [`Protobuf`].
    Protobuf,
    /// One of the application's own.
    Custom(Arc<dyn Serializer>),
}

impl SerializerKind {
    /// The name announced in the handshake.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Protobuf => "protobuf",
            Self::Custom(custom) => custom.name(),
        }
    }

    /// Whether what it writes is JSON text, to be escaped for clients that cannot read all of UTF-8.
    #[must_use]
    pub fn is_text(&self) -> bool {
        match self {
            Self::Json => true,
            Self::Protobuf => false,
            Self::Custom(custom) => custom.is_text(),
        }
    }

    /// Appends `value` to `out`. After an error `out` may end in a part of it.
    ///
    /// # Errors
    ///
    /// [`SerializeError`] when the value cannot be written.
    pub fn serialize<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), SerializeError> {
        match self {
            Self::Json => json::serialize(value, out),
            Self::Protobuf => Err(SerializeError::NotProtobuf { type_name: type_name::<T>() }),
            Self::Custom(custom) => custom::serialize(&**custom, value, out),
        }
    }

    /// Reads a payload as a value.
    ///
    /// # Errors
    ///
    /// [`DeserializeError`] when the payload is not what the type needs.
    pub fn deserialize<T: DeserializeOwned>(&self, payload: &[u8]) -> Result<T, DeserializeError> {
        match self {
            Self::Json => json::deserialize(payload),
            Self::Protobuf => Err(DeserializeError::NotProtobuf { type_name: type_name::<T>() }),
            Self::Custom(custom) => custom::deserialize(&**custom, payload),
        }
    }
}

impl From<Json> for SerializerKind {
    fn from(_: Json) -> Self {
        Self::Json
    }
}

impl From<Protobuf> for SerializerKind {
    fn from(_: Protobuf) -> Self {
        Self::Protobuf
    }
}

impl<S: Serializer> From<S> for SerializerKind {
    fn from(serializer: S) -> Self {
        Self::Custom(Arc::new(serializer))
    }
}

impl fmt::Debug for SerializerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerializerKind({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_is_cut_between_characters() {
        let DeserializeError::Malformed { detail, .. } = DeserializeError::malformed("json", "é".repeat(500))
        else {
            unreachable!("malformed makes a malformed error")
        };
        assert_eq!(detail, format!("{}…", "é".repeat(100)));
    }

    #[test]
    fn protobuf_refuses_serde_types_in_both_directions() {
        let refused = SerializerKind::Protobuf.serialize(&1, &mut Vec::new());
        assert!(matches!(refused, Err(SerializeError::NotProtobuf { type_name: "i32" })));
        let refused = SerializerKind::Protobuf.deserialize::<u8>(b"1");
        assert!(matches!(refused, Err(DeserializeError::NotProtobuf { type_name: "u8" })));
    }
}
