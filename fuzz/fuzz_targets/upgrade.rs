//! HTTP heads of the upgrade: no panic, a head ends within the input, and more bytes after it change nothing.
#![no_main]

use dunlin_wire::ws::{OriginPolicy, parse_request, parse_response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some((head, consumed))) = parse_request(bytes) {
        assert!(consumed <= bytes.len());
        let _ = head.path_only();
        let _ = head.check_upgrade();
        let _ = OriginPolicy::SameHost.allows(head.origin, head.host);
        let (again, consumed_again) =
            parse_request(&bytes[..consumed]).expect("the same head").expect("the whole head");
        assert_eq!((again, consumed_again), (head, consumed));
        assert!(!matches!(parse_request(&bytes[..consumed - 1]), Ok(Some(_))));
    }
    if let Ok(Some((head, consumed))) = parse_response(bytes) {
        assert!(consumed <= bytes.len());
        let _ = head.check_response("dGhlIHNhbXBsZSBub25jZQ==");
    }
});
