//! JSON, as most clients speak it.

use std::any::type_name;
use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DeserializeError, SerializeError};

pub(super) fn serialize<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), SerializeError> {
    let start = out.len();
    serde_json::to_writer(&mut *out, value).map_err(|error| SerializeError::Value {
        serializer: "json",
        type_name: type_name::<T>(),
        detail: error.to_string(),
    })?;
    // A type without content, as `()` is, would be `null`; clients look into what they get, so it is an empty object.
    if size_of_val(value) == 0 && out.get(start..) == Some(b"null".as_slice()) {
        out.truncate(start);
        out.extend_from_slice(b"{}");
    }
    Ok(())
}

pub(super) fn deserialize<T: DeserializeOwned>(payload: &[u8]) -> Result<T, DeserializeError> {
    // A client that has nothing to say may send nothing.
    let payload = if payload.is_empty() { b"null".as_slice() } else { payload };
    // And a type without content is told as an empty object, see above.
    let payload = if size_of::<T>() == 0 && payload == b"{}" { b"null".as_slice() } else { payload };
    serde_json::from_slice(payload).or_else(|error| again_folded(payload, &error))
}

/// The payload may be the CESU-8 of an old JavaScript client: folds and tries again.
#[cold]
fn again_folded<T: DeserializeOwned>(
    payload: &[u8],
    first: &serde_json::Error,
) -> Result<T, DeserializeError> {
    match dunlin_wire::fold_cesu8(payload) {
        Ok(Cow::Owned(text)) => {
            serde_json::from_str(&text).map_err(|error| DeserializeError::malformed("json", error))
        }
        // It was plain UTF-8, or no text at all: the first answer stands.
        Ok(Cow::Borrowed(_)) | Err(_) => Err(DeserializeError::malformed("json", first)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json<T: Serialize + ?Sized>(value: &T) -> String {
        let mut out = Vec::new();
        serialize(value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn surrogate_pairs_of_old_javascript_clients_are_read_as_the_character_they_mean() {
        let payload = b"\"hi \xed\xa0\xbd\xed\xb8\x80\"";
        assert_eq!(deserialize::<String>(payload).unwrap(), "hi 😀");
    }

    #[test]
    fn a_missing_field_is_named() {
        #[derive(serde::Deserialize, Debug)]
        struct Join {
            #[expect(dead_code, reason = "only its name matters here")]
            room: String,
        }
        let error = deserialize::<Join>(b"{}").unwrap_err();
        assert!(error.to_string().contains("missing field `room`"), "{error}");
    }

    #[test]
    fn the_empty_value_is_an_empty_object_and_an_absent_one_is_null() {
        assert_eq!(json(&()), "{}");
        assert_eq!(json(&None::<u8>), "null");
    }

    #[test]
    fn an_empty_payload_reads_as_null() {
        assert_eq!(deserialize::<Option<u8>>(b"").unwrap(), None);
        assert!(deserialize::<u8>(b"").is_err());
    }

    #[test]
    fn writing_appends() {
        let mut out = b"x".to_vec();
        serialize("😀", &mut out).unwrap();
        assert_eq!(out, "x\"😀\"".as_bytes());
    }
}
