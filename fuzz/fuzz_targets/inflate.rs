//! Compressed bodies: never over the limit, and what we compress comes back.
#![no_main]

use dunlin_wire::{InflateError, deflate_if_smaller, inflate};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 10_000;

fuzz_target!(|body: &[u8]| {
    match inflate(body, LIMIT) {
        Ok(inflated) => {
            assert!(inflated.len() <= LIMIT && inflated.capacity() <= LIMIT + 1);
            assert_eq!(inflate(body, inflated.len()).as_ref(), Ok(&inflated));
            if let Some(len_max) = inflated.len().checked_sub(1) {
                assert_eq!(inflate(body, len_max), Err(InflateError::TooLong { len_max }));
            }
        }
        Err(_) => {}
    }
    if let Some(compressed) = deflate_if_smaller(body) {
        assert!(compressed.len() < body.len());
        assert_eq!(inflate(&compressed, body.len()).as_deref(), Ok(body));
    }
});
