//! The message decoder: what it reads can be written again and then reads the same.
#![no_main]

use dunlin_wire::{
    MessageHead, data_packet_len, decode_incoming, decode_message, encode_data_packet, encode_message,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let incoming = decode_incoming(body);
    let Ok(message) = decode_message(body) else {
        return;
    };
    match &message.head {
        MessageHead::Request { route, .. } | MessageHead::Notify { route } => {
            assert_eq!(incoming.and_then(|incoming| incoming.route.read()).as_ref(), Ok(route));
        }
        MessageHead::Response { .. } | MessageHead::Push { .. } => assert!(incoming.is_err()),
    }
    let mut again = Vec::new();
    encode_message(&message.head, message.is_compressed, message.payload, &mut again)
        .expect("a decoded route fits");
    assert_eq!(decode_message(&again).as_ref(), Ok(&message));
    // Needless bytes of the id and folded text make the input longer, never shorter.
    assert!(again.len() <= body.len());

    let mut packet = Vec::new();
    let is_written =
        encode_data_packet(&message.head, message.is_compressed, message.payload, again.len(), &mut packet);
    assert!(is_written.is_ok());
    assert_eq!(packet.len(), data_packet_len(&message.head, message.payload.len()));
    assert_eq!(packet[4..], again);
});
