//! A proxy's header from arbitrary bytes in pieces: no panic, no byte taken beyond the header, and the same however it is split.
#![no_main]

use dunlin_wire::{PROXY_HEADER_LEN_MAX, ProxyDecoder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [size, stream @ ..] = data else {
        return;
    };
    let mut at_once = stream;
    let whole = ProxyDecoder::new().decode(&mut at_once);
    let taken_at_once = stream.len() - at_once.len();
    assert!(taken_at_once <= PROXY_HEADER_LEN_MAX);
    let (mut decoder, mut taken) = (ProxyDecoder::new(), 0);
    for piece in stream.chunks(usize::from(*size).max(1)) {
        let mut rest = piece;
        let decoded = decoder.decode(&mut rest);
        taken += piece.len() - rest.len();
        match decoded {
            Ok(None) => assert!(decoder.wanted_len() > 0),
            decoded => {
                // An error may be seen at an earlier byte when bytes come one by one.
                assert!(decoded == whole || decoded.is_err());
                assert!(decoded.is_err() || taken == taken_at_once);
                return;
            }
        }
    }
    assert!(!matches!(whole, Ok(Some(_))));
});
