//! Reads that wait. One question at a time is on its way to the leader, for all who asked before it left; who comes later waits for
//! the next one. A leader puts what other members ask to its own readers: a quorum is asked once for all of them.
//!
//! A question costs the same for one reader as for a hundred, so the next one leaves only when half of those who were there at the last
//! one are there again, or when they have had a moment to come. Whoever reads alone, or beside one other, never waits for that.

use std::collections::BTreeSet;
use std::mem::take;

use dunlin_rafthttp::raftpb::{Entry, Message, MessageType};

use super::{RequestError, RequestId};
use crate::limits::{READ_OF_OTHERS_LEN_MAX, READS_OF_OTHERS_MAX};

/// Ticks after which a question is asked again that was not answered: a leader that has not committed anything yet drops it.
const REPEAT_TICKS: u64 = 2;

/// See the module.
#[derive(Debug)]
pub(super) struct Reads {
    /// Whoever waits for the next question.
    next: Readers,
    asked: Option<Asked>,
    /// Whoever waits until an index is applied.
    answered: Vec<(u64, BTreeSet<RequestId>)>,
    questions: u64,
    /// So many are to wait before the next question leaves.
    expected: usize,
    ticks: u64,
    count_max: usize,
}

/// Whoever is answered by the same question.
#[derive(Debug, Default)]
struct Readers {
    requests: BTreeSet<RequestId>,
    others: Vec<OthersRead>,
}

impl Readers {
    fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.others.is_empty()
    }

    fn len(&self) -> usize {
        self.requests.len() + self.others.len()
    }

    fn append(&mut self, later: &mut Self) {
        self.requests.append(&mut later.requests);
        self.others.append(&mut later.others);
    }
}

/// What another member asks. It knows its question by what is in the entries.
#[derive(Debug)]
struct OthersRead {
    from: u64,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Asked {
    question: u64,
    at: u64,
    readers: Readers,
}

/// What follows from an answer.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// Who may read now.
    pub(super) ready: Vec<RequestId>,
    /// The answers for other members.
    pub(super) messages: Vec<Message>,
    /// The question to be asked next.
    pub(super) ask: Option<u64>,
}

impl Reads {
    /// Nobody waits. Questions are numbered from one that no life of this member before has come near.
    pub(super) fn new(count_max: usize, questions: u64) -> Self {
        let next = Readers::default();
        Self { next, asked: None, answered: Vec::new(), questions, expected: 0, ticks: 0, count_max }
    }

    /// Whoever wants to read waits. The question to be asked now, if any.
    pub(super) fn insert(&mut self, request: RequestId) -> Result<Option<u64>, RequestError> {
        let asked = self.asked.as_ref().map_or(0, |asked| asked.readers.requests.len());
        let answered: usize = self.answered.iter().map(|(_, requests)| requests.len()).sum();
        if self.next.requests.len() + asked + answered >= self.count_max {
            return Err(RequestError::Overloaded);
        }
        self.next.requests.insert(request);
        Ok(self.ask_unless_asked())
    }

    /// Another member asks this one, which leads. The question to be asked now, if any. What there is no room for is gone, as if it had
    /// been lost on its way: who needs it asks again.
    pub(super) fn insert_others(&mut self, message: Message) -> Option<u64> {
        let Message { from, entries, .. } = message;
        let asked = self.asked.as_ref().map_or(0, |asked| asked.readers.others.len());
        let len: usize = entries.iter().map(|entry| entry.data.len()).sum();
        if self.next.others.len() + asked < READS_OF_OTHERS_MAX && len <= READ_OF_OTHERS_LEN_MAX {
            self.next.others.push(OthersRead { from, entries });
        }
        self.ask_unless_asked()
    }

    pub(super) fn remove(&mut self, request: RequestId) {
        self.next.requests.remove(&request);
        if let Some(asked) = &mut self.asked {
            asked.readers.requests.remove(&request);
        }
        for (_, requests) in &mut self.answered {
            requests.remove(&request);
        }
        self.answered.retain(|(_, requests)| !requests.is_empty());
    }

    fn ask_unless_asked(&mut self) -> Option<u64> {
        if self.asked.is_none() && self.next.len() >= self.expected { self.ask() } else { None }
    }

    /// Whether somebody waits for others who were there a moment ago.
    pub(super) fn is_gathering(&self) -> bool {
        self.asked.is_none() && !self.next.is_empty()
    }

    /// They had time to come. The question to be asked now, if any.
    pub(super) fn handle_gathered(&mut self) -> Option<u64> {
        if self.is_gathering() { self.ask() } else { None }
    }

    /// A new question, for those of the one that is on its way and for all who wait for the next one.
    fn ask(&mut self) -> Option<u64> {
        let mut readers = self.asked.take().map(|asked| asked.readers).unwrap_or_default();
        readers.append(&mut self.next);
        if readers.is_empty() {
            return None;
        }
        self.questions = self.questions.wrapping_add(1);
        let question = self.questions;
        self.asked = Some(Asked { question, at: self.ticks, readers });
        Some(question)
    }

    /// The question to be asked again, if it was not answered for too long.
    pub(super) fn handle_tick(&mut self) -> Option<u64> {
        self.ticks += 1;
        let ticks = self.ticks;
        let is_late = self.asked.as_ref().is_some_and(|asked| ticks - asked.at >= REPEAT_TICKS);
        if is_late { self.ask() } else { self.handle_gathered() }
    }

    /// The term, or who leads in it, has changed: what others asked of this member they ask again, of whoever leads now.
    pub(super) fn forget_others(&mut self) {
        self.next.others.clear();
        if let Some(asked) = &mut self.asked {
            asked.readers.others.clear();
        }
    }

    /// There is another leader, who was not asked.
    pub(super) fn handle_leader(&mut self) -> Option<u64> {
        self.ask()
    }

    /// A question is answered with an index. An answer to an earlier question answers nothing: it may be older than what those of the
    /// later one have seen.
    pub(super) fn handle_answer(&mut self, question: u64, index: u64, applied: u64) -> Answered {
        let Some(asked) = self.asked.take_if(|asked| asked.question == question) else {
            return Answered::default();
        };
        self.expected = usize::midpoint(asked.readers.len(), self.next.len());
        let Readers { requests, others } = asked.readers;
        let ready = if index <= applied {
            requests.into_iter().collect()
        } else {
            self.answered.push((index, requests));
            Vec::new()
        };
        let answer = |OthersRead { from, entries }| {
            let msg_type = MessageType::ReadIndexResp.into();
            Message { msg_type, to: from, index, entries, ..Message::default() }
        };
        let messages = others.into_iter().map(answer).collect();
        Answered { ready, messages, ask: self.ask_unless_asked() }
    }

    /// Who may read now that everything up to an index is applied.
    pub(super) fn handle_applied(&mut self, applied: u64) -> Vec<RequestId> {
        let mut ready = Vec::new();
        self.answered.retain_mut(|(index, requests)| {
            let is_ready = *index <= applied;
            if is_ready {
                ready.extend(take(requests));
            }
            !is_ready
        });
        ready
    }
}
