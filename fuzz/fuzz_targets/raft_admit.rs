//! What is admitted of arbitrary messages: never a panic, only what a core of Raft survives, and it is admitted again.
#![no_main]

use std::collections::BTreeSet;

use dunlin_rafthttp::RaftLimits;
use dunlin_rafthttp::{Admission, LocalView, MemberId, Strangers, admit};
use dunlin_rafthttp::limits::{INDEX_MAX, TERM_JUMP_MAX};
use dunlin_rafthttp::raftpb::{self, Message, Snapshot};
use libfuzzer_sys::fuzz_target;

const LIMITS: RaftLimits =
    RaftLimits { message_len_max: 4096, snapshot_message_len_max: 4096, entries_max: 16, members_max: 16 };

fn check(view: &LocalView<'_>, sent: &Message, taken: &Message) {
    let from = MemberId(taken.from);
    assert_eq!(taken.to, view.me.0);
    assert!(from.0 != 0 && from != view.me && !view.removed.contains(&from));
    assert!(from == view.sender || matches!(taken.msg_type, 2 | 13 | 15));
    assert!(sent.term <= view.term.saturating_add(TERM_JUMP_MAX));
    assert!([taken.index, taken.commit, taken.reject_hint].iter().all(|index| *index <= INDEX_MAX));
    assert!(taken.entries.iter().all(|entry| entry.entry_type().is_ok()));
    assert!(taken.msg_type == 7 || taken.snapshot == Snapshot::default());
    match taken.msg_type {
        2 => assert!(sent.term == 0 && !taken.entries.is_empty()),
        3 => {
            assert_eq!(taken.index == 0, taken.log_term == 0);
            let indexes = taken.entries.iter().map(|entry| entry.index);
            assert!(indexes.eq((taken.index + 1..).take(taken.entries.len())));
            assert!(taken.entries.is_sorted_by_key(|entry| entry.term));
            assert!(taken.entries.iter().all(|entry| (1..=taken.term).contains(&entry.term)));
        }
        7 => {
            let metadata = &taken.snapshot.metadata;
            assert!(metadata.index > 0 && metadata.term > 0 && metadata.term <= taken.term);
            assert!(!metadata.conf_state.voters.is_empty() && !metadata.conf_state.voters.contains(&0));
        }
        8 => assert!(taken.commit <= view.last_index),
        13 => assert_eq!((sent.term, taken.term), (view.term, 0)),
        15 | 16 => assert_eq!(taken.entries.len(), 1),
        4..=6 | 9 | 14 | 17 | 18 => assert!(sent.term > 0),
        other => panic!("type {other} is not for Raft"),
    }
}

fuzz_target!(|data: &[u8]| {
    // Four bytes make the node: which members it knows, whom else it hears, where its log ends, and who brings the message.
    let Some(([members, others, last_index, sender], bytes)) = data.split_first_chunk() else {
        return;
    };
    let Ok(message) = raftpb::decode::<Message>(bytes, &LIMITS) else {
        return;
    };
    let ids = |bits: u8| -> BTreeSet<MemberId> {
        (0..8).filter(|bit| bits & (1 << bit) != 0).map(|bit| MemberId(bit + 1)).collect()
    };
    let (members, joining, removed) = (ids(*members), ids(others & 0b0001_1100), ids(others & 0b1110_0000));
    let view = LocalView {
        me: MemberId(1),
        sender: MemberId(u64::from(sender % 16)),
        members: &members,
        joining: &joining,
        removed: &removed,
        strangers: if others & 1 == 0 { Strangers::Announced } else { Strangers::Any },
        term: u64::from(*last_index % 8),
        last_index: u64::from(*last_index),
    };
    let mut taken = message.clone();
    if admit(&view, &mut taken) == Ok(Admission::Deliver) {
        check(&view, &message, &taken);
        let mut again = Message { term: message.term, ..taken.clone() };
        assert_eq!(admit(&view, &mut again), Ok(Admission::Deliver));
        assert_eq!(again, taken);
    }
});
