//! What waits to be sent to a Go node: calls of one session one after another, those of several at the same time. Pure.
//!
//! Invariants: of a session at most one call is out; what is put in first goes out first, within a session always and else when it can.

use std::collections::{HashMap, VecDeque};

use super::convert::Job;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    by_session: HashMap<i64, Lane>,
    /// Sessions of which a call waits and none is out, in the order of their turns.
    ready: VecDeque<i64>,
    waiting: usize,
    out: usize,
}

#[derive(Debug, Default)]
struct Lane {
    jobs: VecDeque<Job>,
    is_out: bool,
}

impl Lanes {
    /// Puts a call behind those of its session.
    pub(crate) fn push(&mut self, job: Job) {
        let session = job.session();
        let lane = self.by_session.entry(session).or_default();
        if lane.jobs.is_empty() && !lane.is_out {
            self.ready.push_back(session);
        }
        lane.jobs.push_back(job);
        self.waiting += 1;
    }

    /// The call that goes out next; `None` when each one waits for one before it.
    pub(crate) fn pop(&mut self) -> Option<Job> {
        let session = self.ready.pop_front()?;
        let lane = self.by_session.get_mut(&session)?;
        let job = lane.jobs.pop_front()?;
        lane.is_out = true;
        self.waiting -= 1;
        self.out += 1;
        Some(job)
    }

    /// The call of a session that was out has come back.
    pub(crate) fn handle_done(&mut self, session: i64) {
        let Some(lane) = self.by_session.get_mut(&session).filter(|lane| lane.is_out) else { return };
        lane.is_out = false;
        self.out -= 1;
        if lane.jobs.is_empty() {
            self.by_session.remove(&session);
        } else {
            self.ready.push_back(session);
        }
    }

    /// The connection broke: what was out does not come back.
    pub(crate) fn handle_broken(&mut self) {
        let out: Vec<i64> =
            self.by_session.iter().filter(|(_, lane)| lane.is_out).map(|(session, _)| *session).collect();
        out.into_iter().for_each(|session| self.handle_done(session));
    }

    /// How many wait.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many are out.
    pub(crate) const fn out(&self) -> usize {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::messages::ResponseMessage;
    use super::*;

    fn job(session_id: i64, id: u64) -> Job {
        Job::Response(ResponseMessage { session_id, id, ..ResponseMessage::default() })
    }

    fn id(job: &Job) -> u64 {
        match job {
            Job::Response(response) => response.id,
            _ => 0,
        }
    }

    #[test]
    fn a_session_that_waits_for_its_call_does_not_delay_others() {
        let mut lanes = Lanes::default();
        [(1, 1), (1, 2), (2, 3)].into_iter().for_each(|(session, n)| lanes.push(job(session, n)));
        assert_eq!(
            [lanes.pop(), lanes.pop(), lanes.pop()].map(|job| job.map(|job| id(&job))),
            [Some(1), Some(3), None]
        );
        lanes.handle_done(1);
        assert_eq!(lanes.pop().map(|job| id(&job)), Some(2));
    }

    #[test]
    fn what_waits_when_the_connection_breaks_goes_out_on_the_next_one() {
        let mut lanes = Lanes::default();
        [(1, 1), (1, 2)].into_iter().for_each(|(session, n)| lanes.push(job(session, n)));
        lanes.pop().unwrap();
        lanes.handle_broken();
        assert_eq!(lanes.pop().map(|job| id(&job)), Some(2));
        lanes.handle_done(1);
        assert!(lanes.by_session.is_empty() && lanes.ready.is_empty());
    }

    proptest! {
        #[test]
        fn every_session_keeps_its_order_and_has_one_call_out_at_most(
            steps in proptest::collection::vec((0_u8..3, 0_i64..4), 0..200),
        ) {
            let mut lanes = Lanes::default();
            let (mut next, mut last, mut out) = (1, HashMap::new(), Vec::new());
            let mut waiting = 0;
            for (step, session) in steps {
                match step {
                    0 => {
                        lanes.push(job(session, next));
                        (next, waiting) = (next + 1, waiting + 1);
                    }
                    1 => {
                        if let Some(job) = lanes.pop() {
                            waiting -= 1;
                            prop_assert!(!out.contains(&job.session()));
                            out.push(job.session());
                            let before = last.insert(job.session(), id(&job)).unwrap_or(0);
                            prop_assert!(before < id(&job));
                        }
                    }
                    _ => {
                        out.retain(|busy| *busy != session);
                        lanes.handle_done(session);
                    }
                }
                prop_assert_eq!((lanes.waiting(), lanes.out()), (waiting, out.len()));
            }
        }
    }
}
