//! The sessions of a Go gate that have been here, and which of their questions wait for an answer: pure.
//!
//! A client numbers its questions for itself, so those of two sessions have the same numbers; here each has one of its own.
//!
//! Invariants: what is kept of a session goes when it has ended; a call that comes after the end of its session does not bring it back.

use std::collections::{HashMap, HashSet, VecDeque};

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

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// With the questions that wait, by our numbers.
    sessions: HashMap<i64, HashSet<u64>>,
    /// Our numbers, with the session and the client's number.
    waiting: HashMap<u64, (i64, u64)>,
    last: u64,
    ended: HashSet<i64>,
    ended_order: VecDeque<i64>,
}

impl Sessions {
    /// A call that is to be answered.
    pub(crate) fn handle_request(&mut self, request: RequestMessage) -> Result<Frame, SessionError> {
        if self.waiting.len() >= WAITING_CALLS_MAX {
            return Err(SessionError::Overloaded);
        }
        let session = request.session_id;
        let client = self.visit(session)?;
        self.last += 1;
        let id = self.last;
        self.waiting.insert(id, (session, request.id));
        self.sessions.entry(session).or_default().insert(id);
        Ok(call(id, session, (request.route, request.data), client).into())
    }

    /// A call without an answer.
    pub(crate) fn handle_notify(&mut self, notify: NotifyMessage) -> Result<Frame, SessionError> {
        let client = self.visit(notify.session_id)?;
        Ok(call(0, notify.session_id, (notify.route, notify.data), client).into())
    }

    /// What is to be known of a session with its first call.
    fn visit(&mut self, session: i64) -> Result<Option<Client>, SessionError> {
        if self.sessions.contains_key(&session) {
            return Ok(None);
        }
        if self.ended.contains(&session) {
            return Err(SessionError::Ended);
        }
        if self.sessions.len() >= NANO_SESSIONS_MAX {
            return Err(SessionError::TooMany);
        }
        self.sessions.insert(session, HashSet::new());
        Ok(Some(Client::default()))
    }

    /// Whether a session has been here.
    pub(crate) fn has(&self, session: i64) -> bool {
        self.sessions.contains_key(&session)
    }

    /// A session has ended. What is to be said of it, if it has been here.
    pub(crate) fn handle_closed(&mut self, session: i64) -> Option<Frame> {
        let waiting = self.sessions.remove(&session)?;
        for id in &waiting {
            self.waiting.remove(id);
        }
        if self.ended_order.len() >= NANO_ENDED_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        self.ended.insert(session);
        self.ended_order.push_back(session);
        Some(convert::ended(session.cast_unsigned()).into())
    }

    /// Something that is said to the gate, as calls to it.
    pub(crate) fn handle_frame(&mut self, frame: Frame, jobs: &mut Vec<Job>) {
        match frame.said {
            Some(Said::Answer(answer)) => {
                // Without it the session has ended, or the call was answered already.
                let Some(asked) = self.waiting.remove(&answer.id) else { return };
                if let Some(waiting) = self.sessions.get_mut(&asked.0) {
                    waiting.remove(&answer.id);
                }
                jobs.extend(answer.outcome.map(|outcome| convert::response(asked, outcome)));
            }
            Some(Said::Push(push)) => jobs.extend(convert::pushes(&push)),
            Some(Said::Close(close)) => {
                let session_id = close.session.cast_signed();
                jobs.push(Job::CloseSession(CloseSessionRequest { session_id }));
            }
            // Go nodes share nothing of a session, and their life is known otherwise.
            _ => {}
        }
    }
}

fn call(id: u64, session: i64, (route, body): (String, bytes::Bytes), client: Option<Client>) -> Call {
    let session = session.cast_unsigned();
    Call { id, session, route, body, timeout_ms: NANO_ANSWER_TIMEOUT_MS, client }
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
        let mut sessions = Sessions::default();
        let (one, two) = (asked(&mut sessions, 5, 1), asked(&mut sessions, 6, 1));
        assert!(one.client.is_some() && asked(&mut sessions, 5, 2).client.is_none());
        assert_eq!(answer(&mut sessions, two.id), Some((6, 1)));
        assert_eq!(answer(&mut sessions, one.id), Some((5, 1)));
        assert_eq!(answer(&mut sessions, one.id), None);
    }

    #[test]
    fn what_comes_after_the_end_of_a_session_brings_it_not_back_and_leaves_nothing() {
        let mut sessions = Sessions::default();
        let call = asked(&mut sessions, 5, 1);
        assert!(sessions.handle_closed(5).is_some() && sessions.handle_closed(5).is_none());
        assert_eq!(answer(&mut sessions, call.id), None);
        assert_eq!(sessions.handle_request(request(5, 2)), Err(SessionError::Ended));
        let notify = NotifyMessage { session_id: 5, ..NotifyMessage::default() };
        assert_eq!(sessions.handle_notify(notify), Err(SessionError::Ended));
        assert!(sessions.waiting.is_empty() && sessions.sessions.is_empty());
    }

    #[test]
    fn of_sessions_that_have_ended_no_more_are_kept_than_may_be() {
        let mut sessions = Sessions::default();
        for session in 0..2 * i64::try_from(NANO_ENDED_MAX).unwrap() {
            asked(&mut sessions, session, 1);
            sessions.handle_closed(session);
        }
        assert_eq!((sessions.ended.len(), sessions.ended_order.len()), (NANO_ENDED_MAX, NANO_ENDED_MAX));
        assert_eq!(sessions.waiting.len(), 0);
    }
}
