//! Strategies: values of every kind, appends that mostly go on, streams that look like some, and captured ones mutated.

use bytes::{Bytes, BytesMut};
use dunlin_rafthttp::StreamEnds;
use dunlin_rafthttp::raftpb::{
    self, ConfState, Entry, Message, MessageType, Raftpb, Snapshot, SnapshotMetadata,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::captured::{Captured, hex};

/// Whose streams they are.
pub(crate) const ENDS: StreamEnds = StreamEnds { from: 1, to: 2 };

/// The bytes of a value.
pub(crate) fn written(value: &impl Raftpb) -> Vec<u8> {
    let mut out = BytesMut::new();
    raftpb::encode(value, &mut out);
    assert_eq!(out.len(), raftpb::encoded_len(value));
    out.to_vec()
}

/// Numbers near the ends of their range, where places meet and lengths change.
pub(crate) fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, Just(127), Just(128), Just(u64::MAX - 1), Just(u64::MAX), any::<u64>()]
}

pub(crate) fn any_payload() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

pub(crate) fn any_entry() -> impl Strategy<Value = Entry> {
    (any::<i32>(), any_number(), any_number(), any_payload())
        .prop_map(|(entry_type, term, index, data)| Entry { entry_type, term, index, data })
}

pub(crate) fn any_conf_state() -> impl Strategy<Value = ConfState> {
    let list = || vec(any_number(), 0..4);
    (list(), list(), list(), list(), any::<bool>()).prop_map(
        |(voters, learners, voters_outgoing, learners_next, auto_leave)| ConfState {
            voters,
            learners,
            voters_outgoing,
            learners_next,
            auto_leave,
        },
    )
}

pub(crate) fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let metadata = (any_conf_state(), any_number(), any_number())
        .prop_map(|(conf_state, index, term)| SnapshotMetadata { conf_state, index, term });
    prop_oneof![
        Just(Snapshot::default()),
        (any_payload(), metadata).prop_map(|(data, metadata)| Snapshot { data, metadata }),
    ]
}

pub(crate) fn any_message() -> impl Strategy<Value = Message> {
    let numbers = [(); 6].map(|()| any_number());
    let answer = (any::<bool>(), any_number(), any_payload());
    let msg_type = prop_oneof![0..24_i32, any::<i32>()];
    (msg_type, numbers, vec(any_entry(), 0..4), any_snapshot(), answer).prop_map(
        |(msg_type, [to, from, term, log_term, index, commit], entries, snapshot, answer)| {
            let (reject, reject_hint, context) = answer;
            Message {
                msg_type,
                to,
                from,
                term,
                log_term,
                index,
                entries,
                commit,
                snapshot,
                reject,
                reject_hint,
                context,
            }
        },
    )
}

/// Appends of one leader, most of which go on where the last one ended, with link heartbeats between them.
pub(crate) fn any_appends() -> impl Strategy<Value = Vec<Message>> {
    let step = (0..8_u8, 0..4_usize, any_number(), any_message());
    vec(step, 0..12).prop_map(|steps| {
        let (mut term, mut index) = (1, 0);
        let mut messages = Vec::new();
        for (choice, entries, number, mut message) in steps {
            match choice {
                0 => messages.push(Message::link_heartbeat()),
                1 => {
                    message.msg_type = MessageType::App.into();
                    term = message.term;
                    index = message.entries.last().map_or(message.index, |entry| entry.index);
                    messages.push(message);
                }
                _ => {
                    let entries: Vec<_> = message.entries.into_iter().take(entries).collect();
                    let append = Message {
                        msg_type: MessageType::App.into(),
                        from: ENDS.from,
                        to: ENDS.to,
                        term,
                        log_term: if choice == 2 { number } else { term },
                        index,
                        commit: number,
                        ..Message::default()
                    };
                    index = index.wrapping_add(entries.len() as u64);
                    messages.push(Message { entries, ..append });
                }
            }
        }
        messages
    })
}

/// Captured streams of both kinds and a captured snapshot, to be mutated.
fn captured() -> Vec<Vec<u8>> {
    let files: [&[u8]; 3] = [
        include_bytes!(
            "../../../../interop/golden/rafthttp/etcd-3.5.1/msgapp-stream-served-by-node3.response.bin"
        ),
        include_bytes!(
            "../../../../interop/golden/rafthttp/etcd-3.4.23/message-stream-served-by-node1.response.bin"
        ),
        include_bytes!(
            "../../../../interop/golden/rafthttp/etcd-3.5.1/snapshot-post-etcd-to-rust.first12000.bin"
        ),
    ];
    let mut bodies: Vec<_> = files.map(|file| Captured::parse(file).chunks().concat()).into();
    bodies.push(hex("0000000000000033 08071002180120052800300040004a1f0a027b7d1219 0a13 0801080208808080808080808080011007 2800 1064 1804 50005800"));
    bodies
}

/// Some bytes of a captured stream changed, taken out or doubled.
pub(crate) fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let mutations = vec((any::<Index>(), any::<u8>(), 0..3_u8), 0..6);
    (any::<Index>(), any::<Index>(), mutations).prop_map(|(which, begin, mutations)| {
        let bodies = captured();
        let body = which.get(&bodies);
        // The streams are long, and the first items of one are as good as any; half of the time it begins elsewhere.
        let begin = begin.index(body.len());
        let begin = if begin % 2 == 0 { 0 } else { begin };
        let mut bytes: Vec<u8> = body.iter().skip(begin).take(600).copied().collect();
        for (at, byte, kind) in mutations {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, bytes[at]),
            }
        }
        bytes
    })
}

/// Bytes that look like a stream often enough to get far into one.
pub(crate) fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![4 => 0..4_u64, 1 => 0..400_u64, 1 => any::<u64>()];
    let part = prop_oneof![
        number.prop_map(|number| number.to_be_bytes().to_vec()),
        (0..4_u8).prop_map(|byte| vec![byte]),
        vec(any::<u8>(), 0..8),
        any_entry().prop_map(|entry| written(&entry)),
        any_message().prop_map(|message| {
            let message = written(&message);
            [&(message.len() as u64).to_be_bytes(), message.as_slice()].concat()
        }),
    ];
    prop_oneof![vec(part, 0..12).prop_map(|parts| parts.concat()), mutated()]
}
