//! Taking typed fields out of a JSON object, and putting them in: what has another type than expected stays where it was.

use serde_json::{Map, Value};

use super::HandshakeError;
use crate::text::{escape_non_bmp, fold_cesu8};

/// A JSON object whose fields are taken one by one; the rest is kept by its owner.
pub(super) type Fields = Map<String, Value>;

/// Reads a body as an object. Nothing, white space and `null` are an empty one.
pub(super) fn parse_object(body: &[u8]) -> Result<Fields, HandshakeError> {
    let text = fold_cesu8(body).map_err(|source| HandshakeError::NotText { source })?;
    if text.trim().is_empty() {
        return Ok(Fields::new());
    }
    let value = serde_json::from_str(&text).map_err(|source| HandshakeError::NotJson { source })?;
    into_object(value, "")
}

pub(super) fn into_object(value: Value, field: &'static str) -> Result<Fields, HandshakeError> {
    match value {
        Value::Object(fields) => Ok(fields),
        Value::Null => Ok(Fields::new()),
        _ => Err(HandshakeError::NotAnObject { field }),
    }
}

/// Takes any value but `null`.
pub(super) fn take(fields: &mut Fields, name: &str) -> Option<Value> {
    fields.remove(name).filter(|value| !value.is_null())
}

/// Takes a string; a number counts as its digits, because some clients send build numbers so.
pub(super) fn take_text(fields: &mut Fields, name: &str) -> Option<String> {
    take_with(fields, name, |value| match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(other),
    })
}

pub(super) fn take_bool(fields: &mut Fields, name: &str) -> Option<bool> {
    take_with(fields, name, |value| value.as_bool().ok_or(value))
}

/// Takes the strings of an array, leaving out what is none.
pub(super) fn take_texts(fields: &mut Fields, name: &str) -> Vec<String> {
    take_with(fields, name, |value| match value {
        Value::Array(items) => Ok(items),
        other => Err(other),
    })
    .unwrap_or_default()
    .into_iter()
    .filter_map(|item| match item {
        Value::String(text) => Some(text),
        _ => None,
    })
    .collect()
}

/// Takes a value of one shape; of another it is put back, so that it is not lost.
pub(super) fn take_with<T>(
    fields: &mut Fields,
    name: &str,
    convert: impl FnOnce(Value) -> Result<T, Value>,
) -> Option<T> {
    match convert(take(fields, name)?) {
        Ok(converted) => Some(converted),
        Err(value) => {
            fields.insert(name.to_owned(), value);
            None
        }
    }
}

/// Collects the fields of an object to write and sorts them by name, as Go does.
pub(super) struct ObjectWriter(std::collections::BTreeMap<String, Value>);

impl ObjectWriter {
    /// Begins with fields of which nothing is known.
    pub(super) fn new(other: &Fields) -> Self {
        Self(other.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    pub(super) fn put(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
    }

    pub(super) fn put_texts(&mut self, name: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.put(name, Some(texts.to_vec()));
        }
    }

    pub(super) fn finish(self) -> Value {
        Value::Object(self.0.into_iter().collect())
    }

    /// Appends the object to `out`, in the form the oldest client can read.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let json = self.finish().to_string();
        out.extend_from_slice(&escape_non_bmp(json.as_bytes()));
    }
}
