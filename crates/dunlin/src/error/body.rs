//! Errors as bytes, in the form each kind of client reads.
//!
//! Pitaya clients read `{"code":"PIT-404","msg":"...","metadata":{...}}` behind the error flag of a response, or the
//! protobuf message `Error { string code = 1; string msg = 2; map<string, string> metadata = 3; }`. Everybody else
//! gets `{"code":404,"message":"...","details":...}`, by which clients of the pomelo family tell failure from success.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prost::Message as _;
use serde::Serialize;
use serde_json::Value;

use super::Error;
use crate::serializer::SerializerKind;

/// Which form of error body a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientForm {
    /// `{"code":404,"message":"..","details":..}`.
    Standard,
    /// `{"code":"PIT-404","msg":"..","metadata":{..}}`.
    Pitaya,
}

type BodyFn = dyn Fn(&Error) -> Value + Send + Sync;

/// Writes errors for clients; an application may choose its own body for those that do not come from pitaya.
#[derive(Clone, Default)]
pub(crate) struct ErrorEncoder {
    custom: Option<Arc<BodyFn>>,
}

impl ErrorEncoder {
    pub(crate) fn set_custom(&mut self, body: impl Fn(&Error) -> Value + Send + Sync + 'static) {
        self.custom = Some(Arc::new(body));
    }

    /// Appends the body of `error` to `out`, and says whether it is JSON text. It is when the application's serializer
    /// fails, whatever that writes otherwise.
    pub(crate) fn encode(
        &self,
        error: &Error,
        form: ClientForm,
        serializer: &SerializerKind,
        out: &mut Vec<u8>,
    ) -> bool {
        if matches!(serializer, SerializerKind::Protobuf) {
            // Encoding into a vector that can grow does not fail.
            out.extend_from_slice(&ProtoError::new(error, form).encode_to_vec());
            return false;
        }
        let start = out.len();
        let written = match (form, &self.custom) {
            (ClientForm::Pitaya, _) => serializer.serialize(&PitayaError::new(error), out),
            (ClientForm::Standard, Some(custom)) => serializer.serialize(&custom(error), out),
            (ClientForm::Standard, None) => serializer.serialize(&StandardError::new(error), out),
        };
        if let Err(failure) = written {
            tracing::error!(error = %crate::error::Chain(&failure), "an error body could not be serialised");
            out.truncate(start);
            out.extend_from_slice(br#"{"code":500,"message":"internal error"}"#);
            return true;
        }
        serializer.is_text()
    }
}

impl fmt::Debug for ErrorEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorEncoder").field("is_custom", &self.custom.is_some()).finish()
    }
}

#[derive(Serialize)]
struct StandardError<'a> {
    code: u32,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Value>,
}

impl<'a> StandardError<'a> {
    fn new(error: &'a Error) -> Self {
        Self { code: error.code(), message: error.message(), details: error.details() }
    }
}

#[derive(Serialize)]
struct PitayaError<'a> {
    code: String,
    msg: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
}

impl<'a> PitayaError<'a> {
    fn new(error: &'a Error) -> Self {
        Self { code: pitaya_code(error.code()), msg: error.message(), metadata: metadata(error) }
    }
}

/// The protobuf form of an error.
#[derive(prost::Message)]
struct ProtoError {
    #[prost(string, tag = "1")]
    code: String,
    #[prost(string, tag = "2")]
    msg: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

impl ProtoError {
    fn new(error: &Error, form: ClientForm) -> Self {
        let code = match form {
            ClientForm::Standard => error.code().to_string(),
            ClientForm::Pitaya => pitaya_code(error.code()),
        };
        Self { code, msg: error.message().to_owned(), metadata: metadata(error) }
    }
}

fn pitaya_code(code: u32) -> String {
    format!("PIT-{code:03}")
}

/// Details as the flat map of strings that pitaya knows: an object gives its members, anything else goes under `details`.
fn metadata(error: &Error) -> BTreeMap<String, String> {
    fn text(value: &Value) -> String {
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }
    match error.details() {
        None => BTreeMap::new(),
        Some(Value::Object(members)) => {
            members.iter().map(|(key, value)| (key.clone(), text(value))).collect()
        }
        Some(other) => BTreeMap::from([("details".to_owned(), text(other))]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn encode(encoder: &ErrorEncoder, form: ClientForm, serializer: &SerializerKind) -> Vec<u8> {
        let error = Error::not_found("no such table").with_details(json!({ "table": 7, "zone": "eu" }));
        let mut out = Vec::new();
        encoder.encode(&error, form, serializer, &mut out);
        out
    }

    #[test]
    fn standard_clients_get_a_numeric_code_and_the_details_as_they_are() {
        let body = encode(&ErrorEncoder::default(), ClientForm::Standard, &SerializerKind::Json);
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            json!({ "code": 404, "message": "no such table", "details": { "table": 7, "zone": "eu" } })
        );
    }

    #[test]
    fn pitaya_clients_get_their_code_and_flat_metadata() {
        let body = encode(&ErrorEncoder::default(), ClientForm::Pitaya, &SerializerKind::Json);
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            json!({ "code": "PIT-404", "msg": "no such table", "metadata": { "table": "7", "zone": "eu" } })
        );
    }

    #[test]
    fn protobuf_clients_get_the_message_with_fields_one_two_and_three() {
        let body = encode(&ErrorEncoder::default(), ClientForm::Pitaya, &SerializerKind::Protobuf);
        assert_eq!(&body[..9], b"\x0a\x07PIT-404");
        let decoded = ProtoError::decode(&*body).unwrap();
        assert_eq!((&*decoded.msg, &*decoded.metadata["zone"]), ("no such table", "eu"));
    }

    #[test]
    fn an_application_chooses_the_body_of_everybody_but_pitaya() {
        let mut encoder = ErrorEncoder::default();
        encoder.set_custom(|error| json!({ "errcode": error.code() }));
        assert_eq!(encode(&encoder, ClientForm::Standard, &SerializerKind::Json), br#"{"errcode":404}"#);
        assert!(
            encode(&encoder, ClientForm::Pitaya, &SerializerKind::Json).starts_with(br#"{"code":"PIT-404""#)
        );
    }
}
