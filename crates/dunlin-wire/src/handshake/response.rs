//! The handshake answer: whether the client is in, and what it has to know.

use std::collections::BTreeMap;

use serde_json::Value;

use super::HandshakeError;
use super::fields::{
    Fields, ObjectWriter, into_object, parse_object, take, take_bool, take_text, take_texts, take_with,
};
use crate::compress::inflate;
use crate::limits::PACKET_BODY_LEN_MAX;

/// The first byte of a zlib stream, which no JSON begins with.
const ZLIB_LEAD: u8 = 0x78;

/// The body of a server's handshake packet.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HandshakeResponse {
    /// 200 lets the client in. Known refusals: 400 (pitaya), 500 and 501, client too old (pomelo).
    pub code: u16,
    /// What the server's library says of itself; usually missing in a refusal.
    pub sys: Option<ServerSys>,
    /// What the application adds.
    pub user: Option<Value>,
    /// Why a client was refused, for people.
    pub message: Option<String>,
}

/// What a server's library says of itself. Every field may be missing; one of an unexpected type is kept in `other`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServerSys {
    /// `heartbeat`: seconds between heartbeats, at least 1; missing means none. Always an integer on the wire: some clients refuse
    /// anything else, and some turn heartbeats off below 1.
    pub heartbeat: Option<u32>,
    /// `servertime`: seconds since 1970.
    pub servertime: Option<u64>,
    /// `dict`: route names and their codes.
    pub dict: Option<BTreeMap<String, u16>>,
    /// `routeToCode`: the same, where pomelo keeps it.
    pub route_to_code: Option<BTreeMap<String, u16>>,
    /// `codeToRoute`: the same the other way round.
    pub code_to_route: Option<BTreeMap<u16, String>>,
    /// `dictVersion`: the version of pomelo's dictionary.
    pub dict_version: Option<Value>,
    /// `useDict`: pomelo's word that routes are compressed. Not for pitaya clients.
    pub use_dict: Option<bool>,
    /// `protos`: pomelo's protobuf descriptors.
    pub protos: Option<Value>,
    /// `useProto`: pomelo's word that payloads are protobuf.
    pub use_proto: Option<bool>,
    /// `serializer`: pitaya's, `json` or `protobuf`.
    pub serializer: Option<String>,
    /// `caps`: what the server can take beyond the common protocol. Left out when empty.
    pub caps: Vec<String>,
    /// Every other field.
    pub other: serde_json::Map<String, Value>,
}

impl HandshakeResponse {
    /// The code that lets a client in.
    pub const CODE_OK: u16 = 200;

    /// Whether the client is let in.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.code == Self::CODE_OK
    }

    /// Appends the body to `out`: keys sorted, missing fields left out, such as
    /// `{"code":200,"sys":{"dict":{},"heartbeat":30,"servertime":1795175989}}`. Characters outside the basic plane are escaped, so
    /// that every client can read it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(&Fields::new());
        object.put("code", Some(self.code));
        object.put("message", self.message.as_deref());
        object.put("sys", self.sys.as_ref().map(ServerSys::to_value));
        object.put("user", self.user.clone());
        object.write(out);
    }

    /// Reads the body of a server's handshake packet, which may be a zlib stream. A heartbeat with a fraction is rounded down, to
    /// 1 at least.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`] when the body is not JSON, not an object, or has no code.
    pub fn parse(body: &[u8]) -> Result<Self, HandshakeError> {
        let mut fields = if body.first() == Some(&ZLIB_LEAD) {
            let inflated =
                inflate(body, PACKET_BODY_LEN_MAX).map_err(|source| HandshakeError::Inflate { source })?;
            parse_object(&inflated)?
        } else {
            parse_object(body)?
        };
        let code = fields.remove("code").as_ref().and_then(whole_number);
        let code = code.and_then(|code| u16::try_from(code).ok());
        let sys = take(&mut fields, "sys").map(|sys| into_object(sys, "sys")).transpose()?;
        Ok(Self {
            code: code.ok_or(HandshakeError::NoCode)?,
            sys: sys.map(ServerSys::from_fields),
            user: take(&mut fields, "user"),
            message: take_text(&mut fields, "message"),
        })
    }
}

impl ServerSys {
    fn from_fields(mut fields: Fields) -> Self {
        Self {
            heartbeat: take_with(&mut fields, "heartbeat", heartbeat),
            servertime: take_with(&mut fields, "servertime", |value| whole_number(&value).ok_or(value)),
            dict: take_with(&mut fields, "dict", codes),
            route_to_code: take_with(&mut fields, "routeToCode", codes),
            code_to_route: take_with(&mut fields, "codeToRoute", routes),
            dict_version: take(&mut fields, "dictVersion"),
            use_dict: take_bool(&mut fields, "useDict"),
            protos: take(&mut fields, "protos"),
            use_proto: take_bool(&mut fields, "useProto"),
            serializer: take_text(&mut fields, "serializer"),
            caps: take_texts(&mut fields, "caps"),
            other: fields,
        }
    }

    fn to_value(&self) -> Value {
        let mut object = ObjectWriter::new(&self.other);
        object.put("heartbeat", self.heartbeat.map(|seconds| seconds.max(1)));
        object.put("servertime", self.servertime);
        object.put("dict", self.dict.as_ref().map(codes_value));
        object.put("routeToCode", self.route_to_code.as_ref().map(codes_value));
        let routes = self.code_to_route.as_ref().map(|routes| {
            let named = routes.iter();
            named.map(|(code, route)| (code.to_string(), Value::from(route.as_str()))).collect::<Fields>()
        });
        object.put("codeToRoute", routes);
        object.put("dictVersion", self.dict_version.clone());
        object.put("useDict", self.use_dict);
        object.put("protos", self.protos.clone());
        object.put("useProto", self.use_proto);
        object.put("serializer", self.serializer.as_deref());
        object.put_texts("caps", &self.caps);
        object.finish()
    }
}

/// An integer, or a float that is one: Go and JavaScript write either.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and the range was checked"
)]
fn whole_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let float = value.as_f64()?;
        (0.0..=9e15).contains(&float).then_some(float as u64)
    })
}

fn heartbeat(value: Value) -> Result<u32, Value> {
    match value.as_f64() {
        Some(float) if float > 0.0 => {
            let seconds = whole_number(&value).unwrap_or(u64::MAX).max(1);
            Ok(u32::try_from(seconds).unwrap_or(u32::MAX))
        }
        _ => Err(value),
    }
}

/// Route names and codes; pairs whose code is no 16-bit number are left out.
fn codes(value: Value) -> Result<BTreeMap<String, u16>, Value> {
    let Value::Object(fields) = value else {
        return Err(value);
    };
    let pairs = fields.into_iter();
    Ok(pairs.filter_map(|(route, code)| Some((route, u16::try_from(code.as_u64()?).ok()?))).collect())
}

fn routes(value: Value) -> Result<BTreeMap<u16, String>, Value> {
    let Value::Object(fields) = value else {
        return Err(value);
    };
    let pairs = fields.into_iter();
    Ok(pairs.filter_map(|(code, route)| Some((code.parse().ok()?, route.as_str()?.to_owned()))).collect())
}

fn codes_value(codes: &BTreeMap<String, u16>) -> Fields {
    let pairs = codes.iter();
    pairs.map(|(route, code)| (route.clone(), Value::from(*code))).collect()
}
