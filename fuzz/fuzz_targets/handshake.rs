//! Handshakes and kicks: what is read can be written again and then reads the same.
#![no_main]

use dunlin_wire::{ClientAbilities, HandshakeRequest, HandshakeResponse, KICK_REASON_LEN_MAX, parse_kick};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(request) = HandshakeRequest::parse(body) {
        let _ = ClientAbilities::from(&request.sys);
        let mut again = Vec::new();
        request.encode(&mut again);
        assert!(again.iter().all(|byte| *byte < 0xF0));
        let read = HandshakeRequest::parse(&again).expect("our own");
        let mut third = Vec::new();
        read.encode(&mut third);
        assert_eq!(again, third);
    }
    if let Ok(response) = HandshakeResponse::parse(body) {
        let mut again = Vec::new();
        response.encode(&mut again);
        let read = HandshakeResponse::parse(&again).expect("our own");
        let mut third = Vec::new();
        read.encode(&mut third);
        assert_eq!(again, third);
    }
    assert!(parse_kick(body).len() <= KICK_REASON_LEN_MAX);
});
