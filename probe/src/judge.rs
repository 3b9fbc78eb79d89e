//! What one connection may be answered and pushed: each request once, in order, to whom it is for. Pure: no socket, no clock.
//!
//! A request that was refused may have been handled or not; every other one was handled once, after those before it, by the backend
//! that answers. A push is sent before the answer, and comes before it. Answers name their requests: two that a gate takes from a link
//! in the same moment may come in either order, which is counted and no fault. That requests were handled in order is seen from what
//! the backend says it had handled before.
//!
//! Invariant: what is wrong is counted once, under the first rule that it breaks.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::words::{Answer, Beat, Visit};

/// A rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A second answer, or one to what was never asked.
    Duplicate,
    /// Handled, answered or pushed in the wrong order, or twice.
    Order,
    /// Meant for somebody else.
    Receiver,
    /// The answer came, and what was pushed before it did not.
    PushLost,
}

/// Looks at all that comes to one connection.
#[derive(Debug)]
pub(crate) struct Judge {
    who: String,
    session: Option<u64>,
    last_asked: u64,
    /// Requests without an answer.
    open: HashSet<u64>,
    refused: HashSet<u64>,
    /// The latest request that was answered, and in which visit.
    latest: Option<(u64, Visit)>,
    overtaken: u64,
    visits: HashMap<Visit, Seen>,
}

/// What was seen of a visit.
#[derive(Debug, Default)]
struct Seen {
    /// Requests that were answered, each with the one that was handled before.
    handled: BTreeMap<u64, Option<u64>>,
    /// The last request that was pushed for.
    pushed: Option<u64>,
    /// Requests that were pushed for, whose answers are still to come.
    announced: HashSet<u64>,
}

impl Judge {
    pub(crate) fn new(who: String) -> Self {
        Self {
            who,
            session: None,
            last_asked: 0,
            open: HashSet::new(),
            refused: HashSet::new(),
            latest: None,
            overtaken: 0,
            visits: HashMap::new(),
        }
    }

    pub(crate) fn who(&self) -> &str {
        &self.who
    }

    /// How many requests have no answer.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// How many visits began where the same life of a node had one before.
    pub(crate) fn begun_anew(&self) -> usize {
        let lives: HashSet<u64> = self.visits.keys().map(|visit| visit.life).collect();
        self.visits.len() - lives.len()
    }

    /// The number of the next request, which is sent now.
    pub(crate) fn ask(&mut self) -> u64 {
        self.last_asked += 1;
        self.open.insert(self.last_asked);
        self.last_asked
    }

    /// An answer to this number.
    pub(crate) fn handle_answer(&mut self, number: u64, answer: &Answer) -> Result<(), Fault> {
        if !self.open.remove(&number) {
            return Err(Fault::Duplicate);
        }
        self.check_receiver(&answer.who, answer.session)?;
        if answer.number != number {
            return Err(Fault::Receiver);
        }
        let seen = self.visits.entry(answer.visit).or_default();
        seen.handled.insert(number, answer.before);
        let is_announced = seen.announced.remove(&number);
        match self.latest {
            Some((latest, visit)) if number < latest => {
                // On the way from one node it was overtaken; of two nodes the later one was too early.
                self.overtaken += 1;
                if visit != answer.visit {
                    return Err(Fault::Order);
                }
            }
            _ => self.latest = Some((number, answer.visit)),
        }
        if is_announced { Ok(()) } else { Err(Fault::PushLost) }
    }

    /// How many answers came after that of a later request.
    pub(crate) const fn overtaken(&self) -> u64 {
        self.overtaken
    }

    /// The connection has ended: requests that were handled out of order, twice, or not at all although later ones were.
    pub(crate) fn finish(&self) -> Vec<u64> {
        // What was handled and not answered is what was refused, or cut off.
        let is_unknown = |number: &u64| self.refused.contains(number) || self.open.contains(number);
        let mut wrong = Vec::new();
        for seen in self.visits.values() {
            let mut last = None;
            for (number, before) in &seen.handled {
                let is_between = before
                    .is_some_and(|before| Some(before) > last && before < *number && is_unknown(&before));
                if *before != last && !is_between {
                    wrong.push(*number);
                }
                last = Some(*number);
            }
        }
        wrong
    }

    /// A refusal of this number.
    pub(crate) fn handle_refusal(&mut self, number: u64) -> Result<(), Fault> {
        if !self.open.remove(&number) {
            return Err(Fault::Duplicate);
        }
        self.refused.insert(number);
        Ok(())
    }

    /// A push.
    pub(crate) fn handle_beat(&mut self, beat: &Beat) -> Result<(), Fault> {
        self.check_receiver(&beat.who, beat.session)?;
        let seen = self.visits.entry(beat.visit).or_default();
        let before = seen.pushed.replace(beat.number);
        seen.announced.insert(beat.number);
        // One for a request that was refused may come late, and nothing comes before it was asked for.
        let is_due = self.open.contains(&beat.number) || self.refused.contains(&beat.number);
        if is_due && before < Some(beat.number) { Ok(()) } else { Err(Fault::Order) }
    }

    fn check_receiver(&mut self, who: &str, session: u64) -> Result<(), Fault> {
        let is_ours = who == self.who && *self.session.get_or_insert(session) == session;
        if is_ours { Ok(()) } else { Err(Fault::Receiver) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Visit = Visit { life: 1, visit: 0 };
    const THERE: Visit = Visit { life: 2, visit: 0 };

    fn judge(asked: u64) -> Judge {
        let mut judge = Judge::new("me".to_owned());
        assert!((1..=asked).all(|number| judge.ask() == number));
        judge
    }

    fn beat(judge: &mut Judge, number: u64, visit: Visit) -> Result<(), Fault> {
        judge.handle_beat(&Beat { who: "me".to_owned(), session: 7, number, visit })
    }

    fn answer(judge: &mut Judge, number: u64, before: Option<u64>, visit: Visit) -> Result<(), Fault> {
        let (who, node) = ("me".to_owned(), "one".to_owned());
        judge.handle_answer(number, &Answer { who, session: 7, number, before, visit, node })
    }

    fn both(judge: &mut Judge, number: u64, before: Option<u64>, visit: Visit) -> Result<(), Fault> {
        beat(judge, number, visit).and_then(|()| answer(judge, number, before, visit))
    }

    #[test]
    fn what_comes_in_order_is_right_also_from_another_node_after_a_refusal() {
        let mut judge = judge(5);
        assert_eq!(both(&mut judge, 1, None, HERE), Ok(()));
        assert_eq!(both(&mut judge, 2, Some(1), HERE), Ok(()));
        assert_eq!(judge.handle_refusal(3), Ok(()));
        assert_eq!(both(&mut judge, 4, None, THERE), Ok(()));
        assert_eq!(both(&mut judge, 5, Some(3), HERE), Ok(()), "it had handled what was refused");
        assert_eq!((judge.open(), judge.begun_anew(), judge.finish()), (0, 0, Vec::new()));
    }

    #[test]
    fn second_answer_and_one_that_was_not_asked_for_are_duplicates() {
        let mut judge = judge(1);
        assert_eq!(both(&mut judge, 1, None, HERE), Ok(()));
        assert_eq!(answer(&mut judge, 1, None, HERE), Err(Fault::Duplicate));
        assert_eq!(judge.handle_refusal(1), Err(Fault::Duplicate));
        assert_eq!(answer(&mut judge, 9, None, HERE), Err(Fault::Duplicate));
    }

    #[test]
    fn what_is_handled_twice_or_left_out_or_too_early_is_out_of_order() {
        // The second was left out; handled twice; the third before the second.
        for befores in [[None, None, Some(1)], [None, Some(1), Some(1)], [None, Some(3), Some(1)]] {
            let mut judge = judge(3);
            for (number, before) in (1..).zip(befores) {
                assert_eq!(both(&mut judge, number, before, HERE), Ok(()));
            }
            assert_ne!(judge.finish(), [0; 0], "{befores:?}");
        }
        let mut judge = judge(2);
        assert_eq!(both(&mut judge, 2, None, HERE), Ok(()));
        assert_eq!(both(&mut judge, 1, None, THERE), Err(Fault::Order), "another node was faster");
    }

    #[test]
    fn answers_of_one_node_may_overtake_each_other_and_are_counted() {
        let mut judge = judge(3);
        for number in 1..=3 {
            assert_eq!(beat(&mut judge, number, HERE), Ok(()));
        }
        for (number, before) in [(1, None), (3, Some(2)), (2, Some(1))] {
            assert_eq!(answer(&mut judge, number, before, HERE), Ok(()));
        }
        assert_eq!((judge.overtaken(), judge.finish()), (1, Vec::new()));
    }

    #[test]
    fn what_is_for_others_is_seen() {
        let mut judge = judge(2);
        let beat = |who: &str, session| Beat { who: who.to_owned(), session, number: 1, visit: HERE };
        assert_eq!(judge.handle_beat(&beat("me", 7)), Ok(()));
        assert_eq!(judge.handle_beat(&beat("you", 7)), Err(Fault::Receiver));
        assert_eq!(judge.handle_beat(&beat("me", 8)), Err(Fault::Receiver));
    }

    #[test]
    fn push_that_is_missing_when_the_answer_comes_is_lost_and_one_that_repeats_is_out_of_order() {
        let mut judge = judge(2);
        assert_eq!(answer(&mut judge, 1, None, HERE), Err(Fault::PushLost));
        assert_eq!(beat(&mut judge, 2, HERE), Ok(()));
        assert_eq!(beat(&mut judge, 2, HERE), Err(Fault::Order));
    }

    #[test]
    fn push_may_come_before_the_answer_of_an_earlier_request() {
        let mut judge = judge(2);
        assert_eq!((beat(&mut judge, 1, HERE), beat(&mut judge, 2, HERE)), (Ok(()), Ok(())));
        assert_eq!(answer(&mut judge, 1, None, HERE), Ok(()));
        assert_eq!(answer(&mut judge, 2, Some(1), HERE), Ok(()));
    }

    #[test]
    fn second_visit_in_the_same_life_is_counted() {
        let mut judge = judge(2);
        assert_eq!(both(&mut judge, 1, None, HERE), Ok(()));
        assert_eq!(both(&mut judge, 2, None, Visit { visit: 5, ..HERE }), Ok(()));
        assert_eq!(judge.begun_anew(), 1);
    }
}
