//! The packet decoder: any split of the same bytes gives the same packets and the same error, within the limit.
#![no_main]

use dunlin_wire::{PacketDecoder, PacketError, PacketKind};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 4096;

type Decoded = (Vec<(PacketKind, Vec<u8>)>, Option<PacketError>);

fn decode(stream: &[u8], piece_len: usize) -> Decoded {
    let mut decoder = PacketDecoder::new();
    let mut packets = Vec::new();
    for mut input in stream.chunks(piece_len) {
        loop {
            match decoder.decode(&mut input, LIMIT) {
                Ok(Some(packet)) => {
                    assert!(packet.body.len() <= LIMIT);
                    packets.push((packet.kind, packet.body.into_owned()));
                }
                Ok(None) => break,
                Err(error) => return (packets, Some(error)),
            }
        }
        assert!(input.is_empty());
        assert!(decoder.buffered_len() < 4 + LIMIT);
        assert_eq!(decoder.is_idle(), decoder.buffered_len() == 0);
    }
    (packets, None)
}

fuzz_target!(|data: &[u8]| {
    // The first byte picks the pieces, so that the fuzzer finds splits that matter.
    let Some((piece_len, stream)) = data.split_first() else {
        return;
    };
    let whole = decode(stream, usize::MAX);
    assert_eq!(whole, decode(stream, usize::from(*piece_len).max(1)));
    assert_eq!(whole, decode(stream, 1));
});
