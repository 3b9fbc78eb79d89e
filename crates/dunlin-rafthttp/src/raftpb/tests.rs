//! Tests of the limits: what is refused, and that it is refused before `prost` sees it.

use super::*;
use crate::limits::{GROUP_DEPTH_MAX, RaftLimits};

const LIMITS: RaftLimits =
    RaftLimits { message_len_max: 200, snapshot_message_len_max: 100, entries_max: 3, members_max: 4 };

fn message(bytes: &[u8]) -> Result<Message, DecodeError> {
    decode(bytes, &LIMITS)
}

#[test]
fn message_of_the_longest_length_is_taken_and_one_byte_more_is_not() {
    // An unknown field of bytes, with its number and its length before it.
    let bytes = |len: u8| [[0xFA, 0x07, len - 4, 0x01].as_slice(), &vec![0; usize::from(len) - 4]].concat();
    assert_eq!(message(&bytes(200)), Ok(Message::default()));
    let expected = DecodeError::TooLong { message_len: 201, message_len_max: 200 };
    assert_eq!(message(&bytes(201)), Err(expected));
}

#[test]
fn entries_are_counted_also_when_they_are_empty() {
    assert_eq!(message(&[0x3A, 0].repeat(3)).map(|message| message.entries.len()), Ok(3));
    assert_eq!(message(&[0x3A, 0].repeat(4)), Err(DecodeError::TooManyEntries { entries_max: 3 }));
}

#[test]
fn entries_over_the_limit_are_refused_though_the_bytes_behind_are_broken() {
    let bytes = [[0x3A, 0].repeat(4).as_slice(), &[0xFF]].concat();
    assert_eq!(message(&bytes), Err(DecodeError::TooManyEntries { entries_max: 3 }));
}

#[test]
fn members_are_counted_over_all_lists_and_in_both_forms() {
    let members = |bytes: &[u8]| decode::<ConfState>(bytes, &LIMITS);
    let too_many = DecodeError::TooManyMembers { members_max: 4 };
    assert!(members(&[0x08, 1, 0x10, 1, 0x18, 1, 0x20, 1]).is_ok());
    assert_eq!(members(&[0x08, 1, 0x10, 1, 0x18, 1, 0x20, 1, 0x08, 1]), Err(too_many.clone()));
    assert!(members(&[0x0A, 5, 1, 0xAC, 0x02, 3, 4]).is_ok());
    assert_eq!(members(&[0x0A, 5, 1, 2, 3, 4, 5]), Err(too_many.clone()));
    assert_eq!(members(&[0x0A, 3, 1, 2, 3, 0x10, 4, 0x1A, 1, 5]), Err(too_many));
}

#[test]
fn members_of_a_snapshot_that_comes_again_and_again_are_counted_together() {
    let once = [0x4A, 8, 0x12, 6, 0x0A, 4, 0x08, 1, 0x08, 2];
    assert!(message(&once.repeat(2)).is_ok());
    assert_eq!(message(&once.repeat(3)), Err(DecodeError::TooManyMembers { members_max: 4 }));
}

#[test]
fn steps_of_a_change_are_counted_as_members() {
    let change = |bytes: &[u8]| decode::<ConfChangeV2>(bytes, &LIMITS);
    assert_eq!(change(&[0x12, 0].repeat(4)).map(|change| change.changes.len()), Ok(4));
    assert_eq!(change(&[0x12, 0].repeat(5)), Err(DecodeError::TooManyMembers { members_max: 4 }));
}

#[test]
fn groups_nest_as_deep_as_the_limit_and_not_deeper() {
    let nested = |depth: usize| [[0xA3, 0x06].repeat(depth), [0xA4, 0x06].repeat(depth)].concat();
    assert_eq!(message(&nested(GROUP_DEPTH_MAX)), Ok(Message::default()));
    assert_eq!(message(&nested(GROUP_DEPTH_MAX + 1)), Err(DecodeError::GroupsTooDeep));
    // Inside of an entry, where nothing is counted, they are no deeper.
    let groups = nested(GROUP_DEPTH_MAX + 1);
    let len = u8::try_from(groups.len()).expect("it is short");
    assert_eq!(message(&[&[0x3A, len], groups.as_slice()].concat()), Err(DecodeError::GroupsTooDeep));
}

#[test]
fn fields_inside_of_a_group_are_not_ours() {
    let bytes = [&[0xA3, 0x06][..], &[0x3A, 0].repeat(9), &[0x08, 5], &[0xA4, 0x06]].concat();
    assert_eq!(message(&bytes), Ok(Message::default()));
}

#[test]
fn broken_bytes_are_told_with_their_reason() {
    for bytes in [
        &[0x08][..],                                                         // A number without its digits.
        &[0x0A, 0],                                                          // The type as bytes.
        &[0x3D, 0, 0, 0, 0],                                                 // Entries as a fixed number.
        &[0x3A, 5, 0x08],                                                    // An entry cut short.
        &[0x3A, 2, 0x22, 9],       // Data over the end of its entry.
        &[0x4A, 2, 0x12, 9],       // The same of a snapshot.
        &[0xA3, 0x06],             // A group without an end.
        &[0xA4, 0x06],             // An end without a group.
        &[0xA3, 0x06, 0xAC, 0x06], // A group that ends as another.
        &[0x00, 0x00],             // A field of number 0.
        &[0x0F],                   // A type of field there is not.
        &[0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02], // Over 64 bits.
    ] {
        let error = message(bytes).expect_err("it is broken");
        assert!(matches!(error, DecodeError::Malformed { .. }), "{bytes:x?}: {error}");
    }
}

#[test]
fn payloads_do_not_keep_the_input_alive() {
    let bytes = [0x22, 1, 7];
    let entry: Entry = decode(&bytes, &LIMITS).expect("an entry");
    assert!(!bytes.as_ptr_range().contains(&entry.data.as_ptr()));
    assert!(entry.data.is_unique());
}
