//! Arbitrary batches of frames: never a panic, and what was read is written and read again as it was.
#![no_main]

use dunlin_cluster::frame::{Attributes, Batch, Said};
use dunlin_cluster::limits::{BATCH_FRAMES_MAX, SHARED_ATTRIBUTES_LEN_MAX};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|data: &[u8]| {
    let Ok(batch) = Batch::read(data.to_vec().into()) else { return };
    assert!(batch.frames.len() <= BATCH_FRAMES_MAX);
    for frame in &batch.frames {
        assert!(frame.size() > 0);
        if let Some(Said::Altered(altered)) = &frame.said
            && let Some(encoded) = &altered.attributes
            && Attributes::read(encoded).is_ok()
        {
            assert!(encoded.len() <= SHARED_ATTRIBUTES_LEN_MAX);
        }
    }
    assert_eq!(Batch::read(batch.encode_to_vec().into()).expect("our own"), batch);
});
