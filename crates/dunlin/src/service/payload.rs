//! The payload of a call and the value of an answer: typed, protobuf, or raw.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{Call, Reply};
use super::extract::Extract;
use super::parts::Needs;
use crate::error::{Error, Result};
use crate::serializer::SerializerKind;

/// The payload, read by the serializer of the service. What cannot be read is refused with code 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Msg<T>(pub T);

/// A protobuf message: the payload as an argument, or the answer as a value. Works under every serializer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proto<T>(pub T);

/// Bytes as they are: the payload as an argument, or the answer as a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raw(pub Bytes);

impl<T: DeserializeOwned + Send> Extract for Msg<T> {
    const READS_BODY: bool = true;

    fn extract(call: &mut Call) -> Result<Self> {
        Ok(Self(call.serializer().deserialize(call.body())?))
    }

    fn needs(needs: &mut Needs) {
        needs.payload::<T>();
    }
}

impl<T: prost::Message + Default> Extract for Proto<T> {
    const READS_BODY: bool = true;

    fn extract(call: &mut Call) -> Result<Self> {
        let malformed =
            |error| Error::bad_request(format!("the payload cannot be read as protobuf: {error}"));
        T::decode(call.take_body()).map(Self).map_err(malformed)
    }

    fn needs(needs: &mut Needs) {
        needs.encoded_payload::<T>();
    }
}

impl Extract for Raw {
    const READS_BODY: bool = true;

    fn extract(call: &mut Call) -> Result<Self> {
        Ok(Self(call.take_body()))
    }

    fn needs(needs: &mut Needs) {
        needs.encoded_payload::<[u8]>();
    }
}

/// A value a request can be answered with: everything that is `serde::Serialize`, and [`Proto`], [`Raw`], [`Reply`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the answer to a request",
    label = "not an answer",
    note = "derive `serde::Serialize` for it, or answer with `Proto<T>` or `Raw`"
)]
pub trait IntoReply {
    /// Serialises the value.
    ///
    /// # Errors
    ///
    /// [`Error`] with code 500 when the value cannot be serialised.
    fn into_reply(self, serializer: &SerializerKind) -> Result<Reply>;

    /// Tells what the answer needs, when the application is built.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

impl<T: Serialize> IntoReply for T {
    fn into_reply(self, serializer: &SerializerKind) -> Result<Reply> {
        // The answer without content is the empty protobuf message, which is no bytes at all.
        if size_of::<T>() == 0 && matches!(serializer, SerializerKind::Protobuf) {
            return Ok(Reply::empty());
        }
        let mut body = Vec::with_capacity(64);
        serializer.serialize(&self, &mut body)?;
        Ok(if serializer.is_text() { Reply::text(body) } else { Reply::raw(body) })
    }

    fn needs(needs: &mut Needs) {
        needs.reply::<T>();
    }
}

impl<T: prost::Message> IntoReply for Proto<T> {
    fn into_reply(self, _: &SerializerKind) -> Result<Reply> {
        Ok(Reply::raw(self.0.encode_to_vec()))
    }

    fn needs(needs: &mut Needs) {
        needs.encoded_reply::<T>();
    }
}

impl IntoReply for Raw {
    fn into_reply(self, _: &SerializerKind) -> Result<Reply> {
        Ok(Reply::raw(self.0))
    }

    fn needs(needs: &mut Needs) {
        needs.encoded_reply::<[u8]>();
    }
}

impl IntoReply for Reply {
    fn into_reply(self, _: &SerializerKind) -> Result<Reply> {
        Ok(self)
    }
}
