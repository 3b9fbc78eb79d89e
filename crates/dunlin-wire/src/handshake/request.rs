//! The handshake request: the first thing a client says.

use std::fmt;

use serde_json::Value;

use super::HandshakeError;
use super::fields::{Fields, ObjectWriter, into_object, parse_object, take, take_text, take_texts};

/// The body of a client's handshake packet.
#[derive(Clone, PartialEq, Default)]
pub struct HandshakeRequest {
    /// What the client's library says of itself.
    pub sys: ClientSys,
    /// What the application adds; `null` when it adds nothing.
    pub user: Value,
}

/// Without `user`, which is where clients put tokens and passwords.
impl fmt::Debug for HandshakeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeRequest").field("sys", &self.sys).finish_non_exhaustive()
    }
}

/// What a client's library says of itself. Every field may be missing; one of an unexpected type is kept in `other`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClientSys {
    /// `type`: the library, such as `js-websocket`.
    pub kind: Option<String>,
    /// `version`: its version.
    pub version: Option<String>,
    /// `rsa`: a public key, of pomelo clients.
    pub rsa: Option<Value>,
    /// `protoVersion`: the version of the protobuf descriptors a pomelo client has kept.
    pub proto_version: Option<Value>,
    /// `dictVersion`: the version of the dictionary a pomelo client has kept.
    pub dict_version: Option<Value>,
    /// `platform`: of pitaya clients.
    pub platform: Option<String>,
    /// `libVersion`: of pitaya clients, and the mark by which they are told from others.
    pub lib_version: Option<String>,
    /// `clientBuildNumber`: of pitaya clients.
    pub client_build_number: Option<String>,
    /// `clientVersion`: of pitaya clients.
    pub client_version: Option<String>,
    /// `caps`: what the client can take beyond the common protocol, such as [`super::CAP_ERROR`].
    pub caps: Vec<String>,
    /// Every other field.
    pub other: serde_json::Map<String, Value>,
}

impl HandshakeRequest {
    /// Reads the body of a handshake packet. An empty body, `{}` and missing fields are fine; text may be CESU-8.
    ///
    /// The values it builds take a multiple of the body's size, so the body has to be bounded by the packet limit.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`] when the body is not JSON, or it or its field `sys` is not an object.
    pub fn parse(body: &[u8]) -> Result<Self, HandshakeError> {
        let mut fields = parse_object(body)?;
        let sys = into_object(fields.remove("sys").unwrap_or_default(), "sys")?;
        Ok(Self { sys: ClientSys::from_fields(sys), user: fields.remove("user").unwrap_or_default() })
    }

    /// Appends the body to `out`: keys sorted, missing fields left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(&Fields::new());
        object.put("sys", Some(self.sys.to_value()));
        let user = Some(&self.user).filter(|user| !user.is_null());
        object.put("user", user.cloned());
        object.write(out);
    }
}

impl ClientSys {
    fn from_fields(mut fields: Fields) -> Self {
        Self {
            kind: take_text(&mut fields, "type"),
            version: take_text(&mut fields, "version"),
            rsa: take(&mut fields, "rsa"),
            proto_version: take(&mut fields, "protoVersion"),
            dict_version: take(&mut fields, "dictVersion"),
            platform: take_text(&mut fields, "platform"),
            lib_version: take_text(&mut fields, "libVersion"),
            client_build_number: take_text(&mut fields, "clientBuildNumber"),
            client_version: take_text(&mut fields, "clientVersion"),
            caps: take_texts(&mut fields, "caps"),
            other: fields,
        }
    }

    fn to_value(&self) -> Value {
        let mut object = ObjectWriter::new(&self.other);
        object.put("type", self.kind.as_deref());
        object.put("version", self.version.as_deref());
        object.put("rsa", self.rsa.clone());
        object.put("protoVersion", self.proto_version.clone());
        object.put("dictVersion", self.dict_version.clone());
        object.put("platform", self.platform.as_deref());
        object.put("libVersion", self.lib_version.as_deref());
        object.put("clientBuildNumber", self.client_build_number.as_deref());
        object.put("clientVersion", self.client_version.as_deref());
        object.put_texts("caps", &self.caps);
        object.finish()
    }
}
