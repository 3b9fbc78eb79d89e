//! Handshakes and kicks: what is read can be written again and then reads the same.
#![no_main]

use dunlin_wire::{ClientAbilities, HandshakeRequest, HandshakeResponse, KICK_REASON_LEN_MAX, parse_kick};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Whether a number with a fraction or an exponent is in it. Those are read to within their last bit, so they may change once more
/// each time they are written and read.
fn has_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_float),
        Value::Object(fields) => fields.values().any(has_float),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn assert_same(first: &[u8], second: &[u8]) {
    assert!(first.iter().all(|byte| *byte < 0xF0));
    let value = serde_json::from_slice(first).expect("our own JSON");
    if !has_float(&value) {
        assert_eq!(first, second);
    }
}

fuzz_target!(|body: &[u8]| {
    if let Ok(request) = HandshakeRequest::parse(body) {
        let _ = ClientAbilities::from(&request.sys);
        let mut first = Vec::new();
        request.encode(&mut first);
        let mut second = Vec::new();
        HandshakeRequest::parse(&first).expect("our own").encode(&mut second);
        assert_same(&first, &second);
    }
    if let Ok(response) = HandshakeResponse::parse(body) {
        let mut first = Vec::new();
        response.encode(&mut first);
        let mut second = Vec::new();
        HandshakeResponse::parse(&first).expect("our own").encode(&mut second);
        assert_same(&first, &second);
    }
    assert!(parse_kick(body).len() <= KICK_REASON_LEN_MAX);
});
