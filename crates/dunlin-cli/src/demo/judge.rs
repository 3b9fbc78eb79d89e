//! What must never happen to a request or a session, and how often it did. Pure: whoever sees something tells it, with the time.
//!
//! Four faults are counted, each once for what it happened to:
//! - *lost*: a request that had neither an answer nor an error nor the end of its connection in time;
//! - *duplicated*: a request that was answered with another one's number, or that was handled twice for its session;
//! - *reordered*: a request that a node handled after a later one of the same session;
//! - *leaked*: a session that a node still knows some seconds after its client went.
//!
//! What nodes themselves count as their sessions is held against it: sessions that nobody has spoken of are leaked as well.
//!
//! Bots say what they sent and got and when they went, nodes what they handled and whom they know; neither knows of the other.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::messages::Counters;

#[cfg(test)]
mod tests;

/// How long a request may take: the gate answers after five seconds with an error, and two more are for the way.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(7);

/// How long nodes may know a session whose client has gone: longer than a frozen link takes to be noticed and to come back.
pub(super) const LEAVE_TIMEOUT: Duration = Duration::from_secs(8);

/// So many handled numbers of a session are remembered; a request is not under way for longer than that.
const HANDLED_MAX: usize = 512;

/// One life of a node.
pub(super) type Life = u32;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With an answer that has this number.
    Answered(u64),
    /// With an error that the server said.
    Failed,
    /// With its connection, or before it was sent.
    Ended,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Judge {
    sessions: HashMap<u64, Sender>,
    /// Who knows which session: the life of the node and the session, and whether that was counted already.
    known: HashMap<(Life, u64), bool>,
    /// The life of the gate of each session.
    gates: HashMap<u64, Life>,
    /// Lives that are over. A thread of theirs may still say something for a moment.
    over: BTreeSet<Life>,
    /// When clients went, by session.
    gone: HashMap<u64, Instant>,
    /// Since when a life counts more sessions than anybody has spoken of, and whether that was counted already.
    unexplained: HashMap<Life, (Instant, bool)>,
    counters: Counters,
}

/// A session that sends numbered requests.
#[derive(Debug, Default)]
struct Sender {
    /// When each request that is under way was sent, and whether it was counted as lost.
    waiting: HashMap<u64, (Instant, bool)>,
    handled: BTreeSet<u64>,
    /// The last number that each node handled.
    last: HashMap<Life, u64>,
}

impl Judge {
    /// A session sends a request.
    pub(super) fn handle_sent(&mut self, now: Instant, session: u64, number: u64) {
        self.sessions.entry(session).or_default().waiting.insert(number, (now, false));
    }

    /// A request has ended for the one who sent it.
    pub(super) fn handle_outcome(&mut self, session: u64, number: u64, outcome: Outcome) {
        let waited = self.sessions.get_mut(&session).and_then(|sender| sender.waiting.remove(&number));
        match outcome {
            Outcome::Answered(answered) if answered != number || waited.is_none() => {
                self.counters.duplicated += 1;
            }
            Outcome::Answered(_) => self.counters.answered += 1,
            Outcome::Failed => self.counters.failed += 1,
            Outcome::Ended => self.counters.ended += 1,
        }
    }

    /// A node handles a request. Sessions that send none to be judged are passed over.
    pub(super) fn handle_handled(&mut self, life: Life, session: u64, number: u64) {
        let Some(sender) = self.sessions.get_mut(&session) else { return };
        if !sender.handled.insert(number) {
            self.counters.duplicated += 1;
            return;
        }
        while sender.handled.len() > HANDLED_MAX {
            sender.handled.pop_first();
        }
        let last = sender.last.entry(life).or_default();
        if number < *last {
            self.counters.reordered += 1;
        }
        *last = number.max(*last);
    }

    /// A gate has let a client in.
    pub(super) fn handle_opened(&mut self, life: Life, session: u64) {
        if !self.over.contains(&life) {
            self.gates.insert(session, life);
            self.handle_known(life, session);
        }
    }

    /// A node knows a session from now on.
    pub(super) fn handle_known(&mut self, life: Life, session: u64) {
        if !self.over.contains(&life) {
            self.known.entry((life, session)).or_default();
        }
    }

    /// A node knows a session no more. If that is its gate, its client has gone.
    pub(super) fn handle_forgotten(&mut self, now: Instant, life: Life, session: u64) {
        self.known.remove(&(life, session));
        if self.gates.get(&session) == Some(&life) {
            self.handle_gone(now, session);
        }
    }

    /// A client has gone: the first word of it counts.
    pub(super) fn handle_gone(&mut self, now: Instant, session: u64) {
        self.gone.entry(session).or_insert(now);
    }

    /// A node is gone, and with it all that it knew and all its clients.
    pub(super) fn handle_node_gone(&mut self, now: Instant, life: Life) {
        self.over.insert(life);
        self.unexplained.remove(&life);
        self.known.retain(|(at, _), _| *at != life);
        for (session, _) in self.gates.iter().filter(|(_, gate)| **gate == life) {
            self.gone.entry(*session).or_insert(now);
        }
    }

    /// A node counts so many sessions of its own, and so many of other nodes.
    pub(super) fn handle_counted(&mut self, now: Instant, life: Life, (sessions, visitors): (u64, u64)) {
        let Self { known, gates, over, gone, .. } = self;
        if over.contains(&life) {
            return;
        }
        let (mut own, mut others) = (0, 0);
        for (session, gate) in gates.iter() {
            let is_known = known.contains_key(&(life, *session));
            own += u64::from(*gate == life && is_known);
            others += u64::from(*gate != life && (is_known || !gone.contains_key(session)));
        }
        let excess = sessions.saturating_sub(own) + visitors.saturating_sub(others);
        if excess == 0 {
            self.unexplained.remove(&life);
            return;
        }
        let (since, is_counted) = self.unexplained.entry(life).or_insert((now, false));
        if !*is_counted && now.duration_since(*since) > LEAVE_TIMEOUT {
            *is_counted = true;
            self.counters.leaked += excess;
        }
    }

    /// Counts what is overdue, and forgets what is over.
    pub(super) fn handle_time(&mut self, now: Instant) {
        for (waiting_since, is_counted) in
            self.sessions.values_mut().flat_map(|sender| sender.waiting.values_mut())
        {
            if !*is_counted && now.duration_since(*waiting_since) > ANSWER_TIMEOUT {
                *is_counted = true;
                self.counters.lost += 1;
            }
        }
        let is_overdue = |at: &Instant| now.duration_since(*at) > LEAVE_TIMEOUT;
        for ((_, session), is_counted) in &mut self.known {
            if !*is_counted && self.gone.get(session).is_some_and(is_overdue) {
                *is_counted = true;
                self.counters.leaked += 1;
            }
        }
        let Self { sessions, known, gates, gone, .. } = self;
        // A request may still be handled whose client went, and a leak is counted once: both are over long before.
        gone.retain(|session, at| {
            let is_over = now.duration_since(*at) > 3 * LEAVE_TIMEOUT;
            if is_over {
                sessions.remove(session);
                gates.remove(session);
                known.retain(|(_, known), _| known != session);
            }
            !is_over
        });
    }

    /// How often what happened.
    pub(super) const fn counters(&self) -> Counters {
        self.counters
    }
}
