//! The dialects of the writers there are, by hand: all of them say the same, and what they disagree about is not taken.

use bytes::{Bytes, BytesMut};
use dunlin_rafthttp::RaftLimits;
use dunlin_rafthttp::raftpb::{
    self, ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState, Entry,
    EntryType, HardState, Message, MessageType, Raftpb, Snapshot, UnknownValue,
};

use crate::captured::hex;

fn read<T: Raftpb>(digits: &str) -> T {
    raftpb::decode(&hex(digits), &RaftLimits::DEFAULT).expect(digits)
}

fn written(value: &impl Raftpb) -> Vec<u8> {
    let mut out = BytesMut::new();
    raftpb::encode(value, &mut out);
    assert_eq!(out.len(), raftpb::encoded_len(value));
    out.to_vec()
}

/// A vote that is refused, as etcd 3.4 and 3.5 write it: all numbers and an empty snapshot.
const REFUSAL: &str = "0806 1001 1803 2002 2800 3000 4000 4a0a12080a0228001000 1800 5001 5800";

#[test]
fn a_message_says_the_same_in_every_dialect() {
    let refusal = Message {
        msg_type: MessageType::VoteResp.into(),
        to: 1,
        from: 3,
        term: 2,
        reject: true,
        ..Message::default()
    };
    for (writer, digits) in [
        ("etcd 3.4 and 3.5", REFUSAL),
        ("etcd 3.6", "0806 1001 1803 2002 2800 3000 4000 5001 5800 6800"),
        ("etcd 3.7", "0806 1001 1803 2002 5001"),
        ("etcd 3.7 with a zero that was set", "0806 1001 1803 2002 4000 5001"),
        ("the crate raft", "0806 1001 1803 2002 5001"),
        ("the crate raft with its commit", "0806 1001 1803 2002 4000 5001 7802"),
        ("nobody, in another order", "5001 2002 1803 1001 0806"),
    ] {
        assert_eq!(read::<Message>(digits), refusal, "{writer}");
    }
    assert_eq!(written(&refusal), hex(REFUSAL), "ours is that of etcd 3.4 and 3.5");
}

#[test]
fn the_link_heartbeat_is_known_in_every_dialect() {
    let ours = "0808 1000 1800 2000 2800 3000 4000 4a0a12080a02280010001800 5000 5800";
    for digits in ["0808", ours, "0808 1000 1800 2000 2800 3000 4000 5000 5800 6800"] {
        assert!(read::<Message>(digits).is_link_heartbeat(), "{digits}");
    }
    for digits in ["0808 1001", "0808 1801", "0809", ""] {
        assert!(!read::<Message>(digits).is_link_heartbeat(), "{digits}");
    }
    assert_eq!(written(&Message::link_heartbeat()), hex(ours));
}

#[test]
fn fields_that_mean_different_things_to_different_writers_are_neither_taken_nor_written() {
    let bare = read::<Message>(REFUSAL);
    for (field, digits) in [
        ("13, a vote or a snapshot asked for", "6807"),
        ("14, a priority", "7007"),
        ("14, messages", "7202 0806 7200"),
        ("15, a term", "7807"),
        ("16, a priority below zero", "8001 ffffffffffffffffff01"),
    ] {
        let message = read::<Message>(&format!("{REFUSAL} {digits}"));
        assert_eq!(message, bare, "field {field}");
        assert_eq!(written(&message), hex(REFUSAL), "field {field}");
    }
    let entry = read::<Entry>("1002 1807 2201aa 2801 3202bbbb");
    assert_eq!(entry, Entry { term: 2, index: 7, data: Bytes::from_static(&[0xAA]), ..Entry::default() });
    assert_eq!(written(&entry), hex("0800 1002 1807 2201aa"));
}

#[test]
fn messages_in_field_14_may_nest_as_they_like_because_nobody_goes_in() {
    let mut nested = hex("0806");
    for _ in 0..2000 {
        let mut outer = hex("72");
        let mut len = nested.len();
        while len > 127 {
            outer.push(u8::try_from(len & 127).expect("seven bits") | 0x80);
            len >>= 7;
        }
        outer.push(u8::try_from(len).expect("seven bits"));
        outer.extend(nested);
        nested = outer;
    }
    let message: Message = raftpb::decode(&nested, &RaftLimits::DEFAULT).expect("a message");
    assert_eq!(message, Message::default());
}

#[test]
fn unknown_fields_of_every_wire_type_are_skipped() {
    let bare = read::<Message>(REFUSAL);
    for unknown in [
        "a006 8001",
        "a106 0102030405060708",
        "a206 03 010203",
        "a506 01020304",
        "a306 0801 a306 a406 1202ffff a406",
    ] {
        assert_eq!(read::<Message>(&format!("{unknown} {REFUSAL} {unknown}")), bare, "{unknown}");
    }
}

#[test]
fn lists_of_members_are_read_packed_and_one_by_one_and_mixed() {
    let members = ConfState {
        voters: vec![1, 300, 2],
        learners: vec![7],
        voters_outgoing: vec![1, 2],
        learners_next: vec![3, 4],
        auto_leave: true,
    };
    let ours = "0801 08ac02 0802 1007 1801 1802 2003 2004 2801";
    for digits in [
        ours,
        "0a04 01ac0202 1201 07 1a02 0102 2202 0304 2801",
        "0a01 01 08ac02 0a01 02 1007 1801 1a01 02 2003 2201 04 2801",
    ] {
        assert_eq!(read::<ConfState>(digits), members, "{digits}");
    }
    assert_eq!(written(&members), hex(ours), "ours is one by one");
}

#[test]
fn a_field_that_comes_again_wins_and_lists_go_on() {
    let message = read::<Message>("1001 3a021801 1002 3a021802");
    assert_eq!(message.to, 2);
    assert_eq!(message.entries.iter().map(|entry| entry.index).collect::<Vec<_>>(), [1, 2]);
    let members = "4a08 1206 0a04 0801 0802";
    let message = read::<Message>(&format!("{members} {members}"));
    assert_eq!(message.snapshot.metadata.conf_state.voters, [1, 2, 1, 2]);
}

#[test]
fn unknown_enumerations_go_through_unchanged_and_are_told() {
    let message = Message { msg_type: 24, ..Message::default() };
    assert_eq!(raftpb::decode(&written(&message), &RaftLimits::DEFAULT), Ok(message.clone()));
    assert_eq!(message.msg_type(), Err(UnknownValue::MessageType { value: 24 }));

    let message = Message { msg_type: -1, ..Message::default() };
    assert_eq!(written(&message)[..11], hex("08 ffffffffffffffffff01"));
    assert_eq!(raftpb::decode(&written(&message), &RaftLimits::DEFAULT), Ok(message));

    let entry = read::<Entry>("0803");
    assert_eq!(entry.entry_type(), Err(UnknownValue::EntryType { value: 3 }));
    assert_eq!(written(&entry), hex("0803 1000 1800"));
    let change = read::<ConfChange>("1004");
    assert_eq!(change.change_type(), Err(UnknownValue::ConfChangeType { value: 4 }));
    assert_eq!(written(&change), hex("0800 1004 1800"));
    let step = read::<ConfChangeSingle>("0804");
    assert_eq!(step.change_type(), Err(UnknownValue::ConfChangeType { value: 4 }));
    let change = read::<ConfChangeV2>("0803");
    assert_eq!(change.transition(), Err(UnknownValue::ConfChangeTransition { value: 3 }));
}

#[test]
fn numbers_of_enumerations_are_those_of_etcd() {
    let types = (0..24).map(|value| MessageType::try_from(value).expect("known"));
    let local = types.filter(|msg_type| msg_type.is_local()).map(i32::from);
    assert_eq!(local.collect::<Vec<_>>(), [0, 1, 10, 11, 12, 19, 20, 21, 22, 23]);
    for (value, name) in [
        (0, ConfChangeType::AddNode),
        (1, ConfChangeType::RemoveNode),
        (2, ConfChangeType::UpdateNode),
        (3, ConfChangeType::AddLearnerNode),
    ] {
        let step = ConfChangeSingle { change_type: value, node_id: 1 };
        assert_eq!(step.change_type(), Ok(name));
    }
    assert_eq!(read::<Entry>("0802").entry_type(), Ok(EntryType::ConfChangeV2));
    assert_eq!(read::<ConfChangeV2>("0801").transition(), Ok(ConfChangeTransition::JointImplicit));
    assert_eq!(read::<ConfChangeV2>("").transition(), Ok(ConfChangeTransition::Auto));
}

#[test]
fn numbers_are_written_even_when_they_are_zero_and_payloads_are_not() {
    assert_eq!(written(&Entry::default()), hex("0800 1000 1800"));
    assert_eq!(written(&HardState::default()), hex("0800 1000 1800"));
    assert_eq!(written(&ConfState::default()), hex("2800"));
    assert_eq!(written(&Snapshot::default()), hex("1208 0a022800 1000 1800"));
    assert_eq!(written(&ConfChange::default()), hex("0800 1000 1800"));
    assert_eq!(written(&ConfChangeSingle::default()), hex("0800 1000"));
    assert_eq!(written(&ConfChangeV2::default()), hex("0800"));
}
