//! How batches are read from a message, and written into one: as `prost` does it, once it is known how many frames there are.
//!
//! Invariant: nothing is allocated for frames before they were counted.

use bytes::{Buf as _, Bytes};
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::error::FrameError;
use crate::frame::Batch;
use crate::limits::BATCH_FRAMES_MAX;

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
        read(bytes).map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

fn read(bytes: Bytes) -> Result<Batch, FrameError> {
    let (mut rest, mut count) = (bytes.clone(), 0);
    while rest.has_remaining() {
        let (_, WireType::LengthDelimited) = decode_key(&mut rest)? else {
            return Err(FrameError::NoFrame);
        };
        let len = usize::try_from(decode_varint(&mut rest)?).unwrap_or(usize::MAX);
        if len > rest.remaining() {
            return Err(FrameError::NoFrame);
        }
        rest.advance(len);
        count += 1;
        if count > BATCH_FRAMES_MAX {
            return Err(FrameError::TooMany);
        }
    }
    Ok(Batch::decode(bytes)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{Call, Ping};

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        let call = Call { id: 7, route: "Room.say".to_owned(), body: "hi".into(), ..Call::default() };
        let batch = Batch { frames: vec![call.into(), Ping {}.into()] };
        assert_eq!(read(batch.encode_to_vec().into()).unwrap(), batch);
    }

    #[test]
    fn a_batch_of_more_frames_than_may_be_is_refused_before_they_are_made() {
        let frames = |count: usize| Bytes::from([0x0a, 0x00].repeat(count));
        assert_eq!(read(frames(BATCH_FRAMES_MAX)).unwrap().frames.len(), BATCH_FRAMES_MAX);
        assert!(read(frames(BATCH_FRAMES_MAX + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            read(bytes.into()).ok();
        }
    }
}
