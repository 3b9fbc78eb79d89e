//! Properties: round trip, every split gives the same, no bytes panic, limits hold.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// One thing a client says.
#[derive(Debug, Clone)]
enum Said {
    Binary(Vec<Vec<u8>>),
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        vec(vec(any::<u8>(), 0..300), 1..4).prop_map(Said::Binary),
        ".{0,60}".prop_map(Said::Text),
        vec(any::<u8>(), 0..=125).prop_map(Said::Ping),
        vec(any::<u8>(), 0..=125).prop_map(Said::Pong),
    ]
}

fn encode(said: &Said, key: [u8; 4], out: &mut Vec<u8>) -> Heard {
    match said {
        Said::Binary(fragments) => {
            for (index, fragment) in fragments.iter().enumerate() {
                let opcode = if index == 0 { Opcode::Binary } else { Opcode::Continuation };
                let is_fin = index + 1 == fragments.len();
                out.extend_from_slice(frame_header(opcode, is_fin, fragment.len(), Some(key)).as_slice());
                let start = out.len();
                out.extend_from_slice(fragment);
                apply_mask(&mut out[start..], key);
            }
            binary(&fragments.concat())
        }
        Said::Text(payload) => {
            encode_text(out, payload, Some(key));
            text(payload)
        }
        Said::Ping(payload) => {
            encode_ping(out, &Control::new(payload).unwrap(), Some(key));
            Heard::Ping(payload.clone())
        }
        Said::Pong(payload) => {
            encode_pong(out, &Control::new(payload).unwrap(), Some(key));
            Heard::Pong(payload.clone())
        }
    }
}

/// Feeds `bytes` in pieces of the lengths in `cuts`, over and over.
fn feed_in_pieces(listener: &mut Listener, mut bytes: &[u8], cuts: &[usize]) -> Result<(), WsError> {
    for &len in cuts.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at(len.min(bytes.len()));
        listener.feed(piece)?;
        bytes = rest;
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_is_said_is_heard_in_any_split(
        all in vec((said(), any::<[u8; 4]>()), 0..8),
        cuts in vec(1_usize..400, 1..10),
    ) {
        let mut bytes = Vec::new();
        let expected: Vec<_> = all.iter().map(|(said, key)| encode(said, *key, &mut bytes)).collect();
        let mut listener = Listener::new(Role::Server);
        feed_in_pieces(&mut listener, &bytes, &cuts).unwrap();
        prop_assert_eq!(listener.heard, expected);
        prop_assert!(listener.decoder.is_idle());
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_give_the_same_in_any_split(
        bytes in vec(any::<u8>(), 0..200),
        cuts in vec(1_usize..50, 1..10),
        is_server in any::<bool>(),
    ) {
        let role = if is_server { Role::Server } else { Role::Client };
        let mut whole = Listener::new(role);
        let expected = whole.feed(&bytes);
        let mut pieces = Listener::new(role);
        prop_assert_eq!(feed_in_pieces(&mut pieces, &bytes, &cuts), expected);
        prop_assert_eq!(pieces.heard, whole.heard);
    }

    #[test]
    fn frame_like_bytes_never_panic_and_never_go_over_a_limit(
        frames in vec((0_u8..16, any::<bool>(), vec(any::<u8>(), 0..130)), 0..20),
        cuts in vec(1_usize..50, 1..10),
    ) {
        let limits = WsLimits { message_len_max: 200, fragments_max: 3, control_frames_max: 2 };
        let mut bytes = Vec::new();
        for (opcode, is_fin, payload) in frames {
            let start = bytes.len();
            encode_binary(&mut bytes, &payload, Some(KEY));
            bytes[start] = (u8::from(is_fin) << 7) | opcode;
        }
        let mut whole = Listener::with_limits(Role::Server, limits);
        let expected = whole.feed(&bytes);
        let mut pieces = Listener::with_limits(Role::Server, limits);
        prop_assert_eq!(feed_in_pieces(&mut pieces, &bytes, &cuts), expected);
        prop_assert_eq!(&pieces.heard, &whole.heard);
        let mut control_frames = 0;
        for heard in &whole.heard {
            match heard {
                Heard::Message(_, payload) => {
                    prop_assert!(payload.len() <= 200);
                    control_frames = 0;
                }
                Heard::Ping(_) | Heard::Pong(_) => control_frames += 1,
                Heard::Close(_) => {}
            }
            prop_assert!(control_frames <= 2);
        }
    }

    #[test]
    fn arbitrary_heads_never_panic_and_never_take_more_than_came(
        bytes in vec(any::<u8>(), 0..400),
        tail in vec(any::<u8>(), 0..100),
    ) {
        let request = [&b"GET / HTTP/1.1\r\nHost: "[..], &tail, b"\r\nOrigin: ", &tail, b"\r\n\r\n"].concat();
        for bytes in [&bytes, &request] {
            match parse_request(bytes) {
                Ok(Some((head, len))) => {
                    prop_assert!(len <= bytes.len());
                    prop_assert!(head.check_upgrade().is_err(), "no key was sent");
                }
                Ok(None) => {}
                Err(error) => prop_assert!(matches!(error.status(), 400 | 431)),
            }
            if let Ok(Some((_, len))) = parse_response(bytes) {
                prop_assert!(len <= bytes.len());
            }
        }
    }

    #[test]
    fn any_origin_and_host_are_judged_without_panic(origin in ".{0,40}", host in "[a\\[\\]:/0-9.]{0,20}") {
        let url = format!("http://{host}");
        for origin in [&origin, &url] {
            let list = OriginPolicy::List(vec![origin.clone()]);
            // Whoever is no origin at all is on no list, not even by being written there.
            let is_origin = list.allows(Some(origin), None);
            prop_assert!(is_origin || !OriginPolicy::SameHost.allows(Some(origin), Some(&host)));
        }
    }
}
