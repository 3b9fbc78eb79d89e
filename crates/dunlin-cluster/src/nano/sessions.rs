//! The sessions of a Go gate that have been here, and which of their questions wait for an answer: pure.
//!
//! A client numbers its questions for itself, so those of two sessions have the same numbers, and a gate of nano 0.5.0 its sessions; here each has a
//! number of its own.
//!
//! Invariants: what is kept of a session goes when it has ended; a call that comes after the end of its session does not bring it back.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::convert::{self, Job};
use super::messages::{CloseSessionRequest, NotifyMessage, RequestMessage};
use crate::frame::{Call, Client, Frame, Said};
use crate::limits::{NANO_ANSWER_TIMEOUT_MS, NANO_ENDED_MAX, NANO_SESSIONS_MAX, WAITING_CALLS_MAX};

/// Why a call of a Go gate is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("the session has ended")]
    Ended,
    #[error("too many sessions of the gate are here")]
    TooMany,
    #[error("too many calls of the gate wait for an answer")]
    Overloaded,
}

/// Sessions of dunlin nodes have the number of their node in these bits, which is below 512; this one is above.
const NODE_BITS: u64 = 512 << 54;

/// Hands out ids for sessions of Go gates, so that no two sessions here have the same.
#[derive(Debug)]
pub(crate) struct SessionIds(AtomicU64);

impl SessionIds {
    /// Ids that count from some number on.
    pub(crate) const fn new(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }

    fn next(&self) -> u64 {
        NODE_BITS | (self.0.fetch_add(1, Ordering::Relaxed) & ((1 << 54) - 1))
    }
}

/// A session that has been here.
#[derive(Debug)]
struct Visitor {
    id: u64,
    /// The questions that wait, by our numbers.
    waiting: HashSet<u64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Sessions {
    ids: Arc<SessionIds>,
    visitors: HashMap<i64, Visitor>,
    /// Their numbers by the ids that they have here.
    numbers: HashMap<u64, i64>,
    /// The questions that wait, by our numbers, with the session and the client's number.
    waiting: HashMap<u64, (i64, u64)>,
    last: u64,
    ended: HashSet<i64>,
    ended_order: VecDeque<i64>,
}

impl Sessions {
    /// No session yet.
    pub(crate) fn new(ids: Arc<SessionIds>) -> Self {
        Self {
            ids,
            visitors: HashMap::new(),
            numbers: HashMap::new(),
            waiting: HashMap::new(),
            last: 0,
            ended: HashSet::new(),
            ended_order: VecDeque::new(),
        }
    }

    /// A call that is to be answered.
    pub(crate) fn handle_request(&mut self, request: RequestMessage) -> Result<Frame, SessionError> {
        if self.waiting.len() >= WAITING_CALLS_MAX {
            return Err(SessionError::Overloaded);
        }
        let id = self.last + 1;
        let (visitor, client) = self.visit(request.session_id)?;
        visitor.waiting.insert(id);
        let session = visitor.id;
        self.last = id;
        self.waiting.insert(id, (request.session_id, request.id));
        let (route, body) = (request.route, request.data);
        let timeout_ms = NANO_ANSWER_TIMEOUT_MS;
        Ok(Call { id, session, route, body, timeout_ms, client, is_notify: false, trace: String::new() }
            .into())
    }

    /// A call without an answer.
    pub(crate) fn handle_notify(&mut self, notify: NotifyMessage) -> Result<Frame, SessionError> {
        let (visitor, client) = self.visit(notify.session_id)?;
        let (session, route, body) = (visitor.id, notify.route, notify.data);
        let timeout_ms = NANO_ANSWER_TIMEOUT_MS;
        Ok(Call { id: 0, session, route, body, timeout_ms, client, is_notify: true, trace: String::new() }
            .into())
    }

    /// A session, with what is to be known of it if this is its first call.
    fn visit(&mut self, number: i64) -> Result<(&mut Visitor, Option<Client>), SessionError> {
        let is_full = self.visitors.len() >= NANO_SESSIONS_MAX;
        match self.visitors.entry(number) {
            Entry::Occupied(visitor) => Ok((visitor.into_mut(), None)),
            Entry::Vacant(_) if self.ended.contains(&number) => Err(SessionError::Ended),
            Entry::Vacant(_) if is_full => Err(SessionError::TooMany),
            Entry::Vacant(place) => {
                let id = self.ids.next();
                self.numbers.insert(id, number);
                Ok((place.insert(Visitor { id, waiting: HashSet::new() }), Some(Client::default())))
            }
        }
    }

    /// Whether a session has been here.
    pub(crate) fn has(&self, number: i64) -> bool {
        self.visitors.contains_key(&number)
    }

    /// A session has ended. What is to be said of it, if it has been here.
    pub(crate) fn handle_closed(&mut self, number: i64) -> Option<Frame> {
        let visitor = self.visitors.remove(&number)?;
        self.numbers.remove(&visitor.id);
        for id in &visitor.waiting {
            self.waiting.remove(id);
        }
        if self.ended_order.len() >= NANO_ENDED_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        self.ended.insert(number);
        self.ended_order.push_back(number);
        Some(convert::ended(visitor.id).into())
    }

    /// Something that is said to the gate, as calls to it. What is for sessions that have ended is nothing.
    pub(crate) fn handle_frame(&mut self, frame: Frame, jobs: &mut Vec<Job>) {
        match frame.said {
            Some(Said::Answer(answer)) => {
                // Without it the session has ended, or the call was answered already.
                let Some(asked) = self.waiting.remove(&answer.id) else { return };
                if let Some(visitor) = self.visitors.get_mut(&asked.0) {
                    visitor.waiting.remove(&answer.id);
                }
                jobs.extend(answer.outcome.map(|outcome| convert::response(asked, outcome)));
            }
            Some(Said::Push(push)) => {
                let numbers = push.sessions.iter().filter_map(|id| self.numbers.get(id));
                jobs.extend(numbers.map(|number| convert::push(*number, &push)));
            }
            Some(Said::Close(close)) => {
                let number = self.numbers.get(&close.session).copied();
                let job = |session_id| Job::CloseSession(CloseSessionRequest { session_id });
                jobs.extend(number.map(job));
            }
            // Go nodes share nothing of a session, and their life is known otherwise.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Answer, Outcome, Reply};

    fn request(session_id: i64, id: u64) -> RequestMessage {
        RequestMessage { session_id, id, route: "Room.Say".to_owned(), ..RequestMessage::default() }
    }

    fn asked(sessions: &mut Sessions, session: i64, id: u64) -> Call {
        match sessions.handle_request(request(session, id)).unwrap().said {
            Some(Said::Call(call)) => call,
            other => panic!("{other:?}"),
        }
    }

    fn answer(sessions: &mut Sessions, id: u64) -> Option<(i64, u64)> {
        let outcome = Some(Outcome::Reply(Reply::default()));
        let mut jobs = Vec::new();
        sessions.handle_frame(Answer { id, outcome }.into(), &mut jobs);
        jobs.pop().map(|job| match job {
            Job::Response(response) => (response.session_id, response.id),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn two_clients_that_count_alike_have_their_own_answers_and_each_one_only() {
        let mut sessions = Sessions::new(Arc::new(SessionIds::new(u64::MAX)));
        let (one, two) = (asked(&mut sessions, 5, 1), asked(&mut sessions, 6, 1));
        assert!(one.client.is_some() && asked(&mut sessions, 5, 2).client.is_none());
        assert!(one.session != two.session && one.session >> 54 == 512 && two.session >> 54 == 512);
        assert_eq!(answer(&mut sessions, two.id), Some((6, 1)));
        assert_eq!(answer(&mut sessions, one.id), Some((5, 1)));
        assert_eq!(answer(&mut sessions, one.id), None);
    }

    #[test]
    fn what_comes_after_the_end_of_a_session_brings_it_not_back_and_leaves_nothing() {
        let mut sessions = Sessions::new(Arc::new(SessionIds::new(u64::MAX)));
        let call = asked(&mut sessions, 5, 1);
        assert!(sessions.handle_closed(5).is_some() && sessions.handle_closed(5).is_none());
        assert_eq!(answer(&mut sessions, call.id), None);
        assert_eq!(sessions.handle_request(request(5, 2)), Err(SessionError::Ended));
        let notify = NotifyMessage { session_id: 5, ..NotifyMessage::default() };
        assert_eq!(sessions.handle_notify(notify), Err(SessionError::Ended));
        assert!(sessions.waiting.is_empty() && sessions.visitors.is_empty() && sessions.numbers.is_empty());
    }

    #[test]
    fn of_sessions_that_have_ended_no_more_are_kept_than_may_be() {
        let mut sessions = Sessions::new(Arc::new(SessionIds::new(u64::MAX)));
        for session in 0..2 * i64::try_from(NANO_ENDED_MAX).unwrap() {
            asked(&mut sessions, session, 1);
            sessions.handle_closed(session);
        }
        assert_eq!((sessions.ended.len(), sessions.ended_order.len()), (NANO_ENDED_MAX, NANO_ENDED_MAX));
        assert_eq!(sessions.waiting.len(), 0);
    }
}
