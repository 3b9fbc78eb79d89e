//! How batches are read from a message of gRPC, and written into one.

use bytes::Buf as _;
use prost::Message as _;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::frame::Batch;

/// See the module.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BatchCodec;

impl Codec for BatchCodec {
    type Encode = Batch;
    type Decode = Batch;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for BatchCodec {
    type Item = Batch;
    type Error = Status;

    fn encode(&mut self, batch: Batch, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        batch.encode(into).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for BatchCodec {
    type Item = Batch;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Batch>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        Batch::read(bytes).map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}
