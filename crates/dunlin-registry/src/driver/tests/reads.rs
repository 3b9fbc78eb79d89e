//! Reads: by how few questions they are answered, and what does not wait for the disk.

use super::*;
use crate::limits::{READ_OF_OTHERS_LEN_MAX, READS_OF_OTHERS_MAX};

const NOT_APPLIED: u64 = 0;

fn question_of(from: u64, len: usize) -> Message {
    let entry = Entry { data: vec![from as u8; len].into(), ..Entry::default() };
    Message { msg_type: MessageType::ReadIndex.into(), from, entries: vec![entry], ..Message::default() }
}

/// Reads of which those before this one are waiting, with the question that is on its way.
fn asked_by(requests: std::ops::Range<RequestId>) -> (Reads, u64) {
    let mut reads = Reads::new(READS_MAX, 0);
    let mut asked = None;
    for request in requests {
        asked = asked.or(reads.insert(request).unwrap());
    }
    (reads, asked.unwrap())
}

/// One of nine is back, and waits for the others.
fn one_of_nine_waits() -> Reads {
    let (mut reads, first) = asked_by(0..10);
    let second = reads.handle_answer(first, 1, 1).ask.unwrap();
    assert_eq!(reads.handle_answer(second, 1, 1).ask, None);
    assert_eq!(reads.insert(10), Ok(None));
    reads
}

#[test]
fn a_leader_asks_a_quorum_once_for_all_members_that_ask_while_it_asks() {
    let (mut group, leader) = Group::led(5);
    let followers = group.others(leader);
    for id in &followers {
        group.driver(*id).handle_read(10).unwrap();
    }
    let mut heartbeats = 0;
    while heartbeats == 0 || !group.in_flight.is_empty() {
        for message in std::mem::take(&mut group.in_flight) {
            heartbeats += usize::from(message.is(MessageType::Heartbeat));
            group.member(message.to).hear(message);
        }
        for member in group.members.values_mut() {
            group.in_flight.extend(member.act());
        }
    }
    assert!(followers.iter().all(|id| group.members[id].reads == [10]));
    assert_eq!(heartbeats, 2 * followers.len(), "one for whoever came first, one for the other three");
}

#[test]
fn the_next_question_leaves_when_half_of_those_are_back_who_were_there() {
    // One is asked for, nine come meanwhile, and are asked for at once.
    let (mut reads, first) = asked_by(0..10);
    let answered = reads.handle_answer(first, 1, 1);
    assert_eq!(answered.ready, [0]);
    let second = answered.ask.expect("nine of ten wait");
    let answered = reads.handle_answer(second, 1, 1);
    assert_eq!((answered.ready.len(), answered.ask), (9, None));
    for request in 10..13 {
        assert_eq!(reads.insert(request), Ok(None), "{request} waits for the others");
    }
    assert!(reads.is_gathering());
    assert!(reads.insert(13).unwrap().is_some(), "four of nine are back");
    assert!(!reads.is_gathering());
}

#[test]
fn who_reads_alone_or_beside_one_other_waits_for_nobody() {
    let (mut reads, first) = asked_by(0..2);
    let second = reads.handle_answer(first, 1, 1).ask.expect("the other one waits");
    assert!(reads.insert(2).unwrap().is_none(), "a question is on its way");
    let third = reads.handle_answer(second, 1, 1).ask.expect("each is half of both");
    assert_eq!(reads.handle_answer(third, 1, 1).ready, [2]);
    assert!(reads.insert(3).unwrap().is_some());
}

#[test]
fn those_who_do_not_come_back_are_waited_for_until_others_had_time_to_come() {
    let mut reads = one_of_nine_waits();
    let third = reads.handle_gathered().expect("it had time");
    assert_eq!(reads.handle_gathered(), None, "one question at a time");
    assert_eq!(reads.handle_answer(third, 1, 1).ready, [10]);
    assert!(reads.insert(11).unwrap().is_some(), "nobody else was there");
}

#[test]
fn a_tick_asks_for_those_who_wait_for_others() {
    assert!(one_of_nine_waits().handle_tick().is_some());
}

#[test]
fn another_member_is_answered_with_its_own_words_though_nothing_is_applied_here() {
    let mut reads = Reads::new(READS_MAX, 0);
    let question = reads.insert_others(question_of(2, 8)).unwrap();
    let answered = reads.handle_answer(question, 9, NOT_APPLIED);
    let [answer] = &answered.messages[..] else { panic!("{answered:?}") };
    assert!(answer.is(MessageType::ReadIndexResp));
    assert_eq!((answer.to, answer.index, &answer.entries[0].data[..]), (2, 9, &[2; 8][..]));
}

#[test]
fn what_others_asked_in_another_term_is_not_answered() {
    let mut reads = Reads::new(READS_MAX, 0);
    let question = reads.insert_others(question_of(2, 8)).unwrap();
    assert_eq!(reads.insert_others(question_of(3, 8)), None);
    reads.forget_others();
    let answered = reads.handle_answer(question, 9, 9);
    assert!(answered.messages.is_empty());
    assert_eq!(answered.ask, None);
}

#[test]
fn questions_of_others_are_not_too_many_nor_too_long() {
    let mut reads = Reads::new(READS_MAX, 0);
    assert_eq!(reads.insert_others(question_of(2, READ_OF_OTHERS_LEN_MAX + 1)), None, "too long");
    let question = reads.insert_others(question_of(2, READ_OF_OTHERS_LEN_MAX)).unwrap();
    for _ in 0..2 * READS_OF_OTHERS_MAX {
        reads.insert_others(question_of(3, 8));
    }
    let first = reads.handle_answer(question, 1, 1);
    let second = reads.handle_answer(first.ask.unwrap(), 1, 1);
    assert_eq!(first.messages.len() + second.messages.len(), READS_OF_OTHERS_MAX);
}

#[test]
fn a_step_without_anything_for_the_disk_waits_for_it_only_when_one_before_does() {
    let (mut group, leader) = Group::led(3);
    let driver = group.driver(leader);
    driver.handle_read(1).unwrap();
    let asks = driver.poll().unwrap();
    assert_eq!((asks.number, asks.messages.len()), (0, 2), "nothing is to be written");

    driver.handle_proposal(2, proposal("x")).unwrap();
    let writes = driver.poll().unwrap();
    assert!(writes.number > 0);
    driver.handle_tick();
    let beats = driver.poll().unwrap();
    assert!(beats.persist.is_empty() && beats.number > writes.number, "{beats:?}");

    driver.handle_persisted(beats.number);
    driver.handle_tick();
    assert_eq!(driver.poll().unwrap().number, 0, "all of it is on the disk");
}
