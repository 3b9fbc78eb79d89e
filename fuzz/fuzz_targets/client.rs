//! A client against arbitrary bytes from its server: it stays within its bounds and its deadlines lie ahead.
#![no_main]

use dunlin_wire::{ClientConfig, ClientProtocol, ClientState, Millis};
use libfuzzer_sys::fuzz_target;

const ANSWER: &[u8] = b"\x01\x00\x00\x38{\"code\":200,\"sys\":{\"dict\":{\"a\":1,\"b\":7},\"heartbeat\":1}} ";

fuzz_target!(|data: &[u8]| {
    let config = ClientConfig {
        body_len_max: 4096,
        inflated_len_max: 4096,
        in_flight_max: 4,
        unsent_len_max: 256,
        ..ClientConfig::default()
    };
    let mut client = ClientProtocol::new(config, Millis::ZERO).expect("it fits");
    let [choice, stream @ ..] = data else {
        return;
    };
    if choice & 1 == 1 {
        client.handle_bytes(Millis::ZERO, ANSWER).expect("a good answer");
    }
    for (at, piece) in (1..).zip(stream.chunks(usize::from(choice >> 1).max(1))) {
        let now = Millis(at * 100);
        let _ = client.request(now, "a", b"{}", 250);
        let is_over = client.handle_bytes(now, piece).is_err();
        client.handle_timeout(now);
        assert!(!is_over || client.state() == ClientState::Closed);
        assert!(client.in_flight() <= 4);
        assert!(client.poll_deadline().is_none_or(|deadline| deadline > now));
        while client.poll_event().is_some() {}
        let mut out = Vec::new();
        while client.poll_transmit(&mut out) {}
        assert_eq!(client.unsent_len(), 0);
    }
});
