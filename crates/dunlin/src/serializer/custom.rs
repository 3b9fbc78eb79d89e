//! Serializers of an application's own, behind a trait object.

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DeserializeError, SerializeError};

/// A payload format of the application's own. It sees values through `erased_serde`, so any serde format fits:
///
/// ```
/// use dunlin::serializer::{DeserializeError, SerializeError, Serializer};
///
/// /// JSON with white space, for people who read the wire.
/// struct PrettyJson;
///
/// impl Serializer for PrettyJson {
///     fn name(&self) -> &'static str {
///         "pretty-json"
///     }
///
///     fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<(), erased_serde::Error> {
///         let mut json = serde_json::Serializer::pretty(out);
///         value.erased_serialize(&mut <dyn erased_serde::Serializer>::erase(&mut json))
///     }
///
///     fn deserialize(
///         &self,
///         payload: &[u8],
///         read: &mut dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error>,
///     ) -> Result<(), erased_serde::Error> {
///         let mut json = serde_json::Deserializer::from_slice(payload);
///         read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json))
///     }
/// }
/// ```
pub trait Serializer: Send + Sync + 'static {
    /// The name announced to clients in the handshake.
    fn name(&self) -> &'static str;

    /// Whether what it writes is JSON text, to be escaped for clients that cannot read all of UTF-8.
    fn is_text(&self) -> bool {
        false
    }

    /// Appends a value to `out`. After an error `out` may end in a part of it.
    ///
    /// # Errors
    ///
    /// What the format says when it cannot write the value.
    fn serialize(
        &self,
        value: &dyn erased_serde::Serialize,
        out: &mut Vec<u8>,
    ) -> Result<(), erased_serde::Error>;

    /// Makes a deserializer over `payload` and hands it to `read`, once. The payload comes from a client: limits on
    /// its nesting and lengths are the format's to keep.
    ///
    /// # Errors
    ///
    /// What the format or `read` says when the payload is not what the type needs.
    fn deserialize(
        &self,
        payload: &[u8],
        read: &mut dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error>,
    ) -> Result<(), erased_serde::Error>;
}

pub(super) fn serialize<T: Serialize + ?Sized>(
    serializer: &dyn Serializer,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), SerializeError> {
    serializer.serialize(&value, out).map_err(|error| SerializeError::Value {
        serializer: serializer.name(),
        type_name: type_name::<T>(),
        detail: error.to_string(),
    })
}

pub(super) fn deserialize<T: DeserializeOwned>(
    serializer: &dyn Serializer,
    payload: &[u8],
) -> Result<T, DeserializeError> {
    let mut value = None;
    let read = serializer.deserialize(payload, &mut |deserializer| {
        value = Some(erased_serde::deserialize(deserializer)?);
        Ok(())
    });
    match (read, value) {
        (Ok(()), Some(value)) => Ok(value),
        (Ok(()), None) => Err(DeserializeError::malformed(serializer.name(), "the serializer read nothing")),
        (Err(error), _) => Err(DeserializeError::malformed(serializer.name(), error)),
    }
}
