//! Each fault is fed to the judge, and so is all that looks like one and is none.

use super::*;

const A: Life = 1;
const B: Life = 2;

/// A judge that knows of one request, number 1 of session 7.
fn asked() -> (Judge, Instant) {
    let (mut judge, now) = (Judge::default(), Instant::now());
    judge.handle_sent(now, 7, 1);
    (judge, now)
}

/// What is counted when it is looked twice.
fn counted(mut judge: Judge, now: Instant) -> Counters {
    judge.handle_time(now);
    judge.handle_time(now);
    judge.counters()
}

#[test]
fn a_request_without_any_outcome_is_lost_once_its_time_is_over_and_not_before() {
    let (judge, now) = asked();
    assert_eq!(counted(judge, now + ANSWER_TIMEOUT).lost, 0);
    let (judge, now) = asked();
    assert_eq!(counted(judge, now + ANSWER_TIMEOUT * 2).lost, 1);
}

#[test]
fn an_answer_an_error_and_the_end_of_a_connection_are_outcomes() {
    let outcomes = [Outcome::Answered(1), Outcome::Failed, Outcome::Ended];
    let counters = outcomes.map(|outcome| {
        let (mut judge, now) = asked();
        judge.handle_outcome(7, 1, outcome);
        counted(judge, now + ANSWER_TIMEOUT * 2)
    });
    assert_eq!(counters.map(|counters| counters.is_clean()), [true; 3]);
    assert_eq!(counters.map(|counters| counters.answered), [1, 0, 0]);
    assert_eq!(counters.map(|counters| counters.failed), [0, 1, 0]);
    assert_eq!(counters.map(|counters| counters.ended), [0, 0, 1]);
}

#[test]
fn a_second_answer_is_a_duplicate_and_so_is_the_answer_of_another_request() {
    let (mut judge, now) = asked();
    judge.handle_outcome(7, 1, Outcome::Answered(1));
    judge.handle_outcome(7, 1, Outcome::Answered(1));
    judge.handle_sent(now, 7, 2);
    judge.handle_outcome(7, 2, Outcome::Answered(1));
    assert_eq!(counted(judge, now), Counters { duplicated: 2, answered: 1, ..Counters::default() });
}

#[test]
fn a_request_that_two_nodes_handle_is_a_duplicate() {
    let (mut judge, now) = asked();
    judge.handle_handled(A, 7, 1);
    judge.handle_handled(B, 7, 1);
    assert_eq!(counted(judge, now), Counters { duplicated: 1, ..Counters::default() });
}

#[test]
fn a_number_that_goes_back_at_one_node_is_reordered_and_one_at_another_node_is_not() {
    let (mut judge, now) = asked();
    for (life, number) in [(A, 2), (B, 1), (A, 3), (B, 5), (B, 4)] {
        judge.handle_handled(life, 7, number);
    }
    assert_eq!(counted(judge, now), Counters { reordered: 1, ..Counters::default() });
}

#[test]
fn a_session_that_is_known_long_after_its_client_went_is_leaked_at_each_node_once() {
    let (mut judge, now) = (Judge::default(), Instant::now());
    judge.handle_opened(A, 7);
    judge.handle_known(B, 7);
    judge.handle_gone(now, 7);
    judge.handle_gone(now + LEAVE_TIMEOUT, 7);
    judge.handle_time(now + LEAVE_TIMEOUT);
    assert_eq!(judge.counters().leaked, 0);
    assert_eq!(counted(judge, now + LEAVE_TIMEOUT * 2).leaked, 2);
}

#[test]
fn when_its_gate_forgets_it_or_is_gone_a_client_has_gone() {
    for is_killed in [false, true] {
        let (mut judge, now) = (Judge::default(), Instant::now());
        judge.handle_opened(A, 7);
        judge.handle_known(B, 7);
        if is_killed {
            judge.handle_node_gone(now, A);
        } else {
            judge.handle_forgotten(now, A, 7);
        }
        assert_eq!(counted(judge, now + LEAVE_TIMEOUT * 2).leaked, 1);
    }
}

#[test]
fn who_is_forgotten_in_time_and_who_is_still_there_is_no_leak() {
    let (mut judge, now) = (Judge::default(), Instant::now());
    judge.handle_opened(A, 7);
    judge.handle_known(B, 7);
    judge.handle_opened(A, 8);
    judge.handle_known(B, 8);
    judge.handle_gone(now, 7);
    judge.handle_forgotten(now, A, 7);
    judge.handle_forgotten(now, B, 7);
    judge.handle_forgotten(now, B, 8);
    assert!(counted(judge, now + LEAVE_TIMEOUT * 2).is_clean());
}

#[test]
fn sessions_that_a_node_counts_and_nobody_has_spoken_of_are_leaked_when_they_stay() {
    let counted = |count: (u64, u64), looks: u32| {
        let (mut judge, now) = (Judge::default(), Instant::now());
        judge.handle_opened(A, 7);
        judge.handle_opened(B, 8);
        judge.handle_opened(B, 9);
        for look in 0..looks {
            judge.handle_counted(now + LEAVE_TIMEOUT * look, A, count);
        }
        judge.counters().leaked
    };
    assert_eq!(counted((1, 2), 9), 0, "one of its own, and two that may be there");
    assert_eq!(counted((2, 4), 2), 0, "for a moment it may be behind");
    assert_eq!(counted((2, 4), 9), 3);
}

#[test]
fn sessions_that_are_over_cost_no_memory() {
    let (mut judge, now) = asked();
    judge.handle_opened(A, 7);
    judge.handle_gone(now, 7);
    judge.handle_time(now + LEAVE_TIMEOUT * 4);
    let Judge { sessions, known, gates, gone, .. } = judge;
    assert_eq!((sessions.len(), known.len(), gates.len(), gone.len()), (0, 0, 0, 0));
}

#[test]
fn requests_of_strangers_are_not_judged() {
    let mut judge = Judge::default();
    judge.handle_handled(A, 9, 1);
    judge.handle_handled(A, 9, 1);
    assert!(counted(judge, Instant::now()).is_clean());
}
