//! Reads that wait. One question at a time is on its way to the leader, for all who asked before it left; who comes later waits for
//! the next one.

use std::collections::BTreeSet;
use std::mem::take;

use super::{RequestError, RequestId};

/// Ticks after which a question is asked again that was not answered: a leader that has not committed anything yet drops it.
const REPEAT_TICKS: u64 = 2;

/// See the module.
#[derive(Debug)]
pub(super) struct Reads {
    /// Whoever waits for the next question.
    next: BTreeSet<RequestId>,
    asked: Option<Asked>,
    /// Whoever waits until an index is applied.
    answered: Vec<(u64, BTreeSet<RequestId>)>,
    questions: u64,
    ticks: u64,
    count_max: usize,
}

#[derive(Debug)]
struct Asked {
    question: u64,
    at: u64,
    requests: BTreeSet<RequestId>,
}

impl Reads {
    /// Nobody waits. Questions are numbered from one that no life of this member before has come near.
    pub(super) const fn new(count_max: usize, questions: u64) -> Self {
        Self { next: BTreeSet::new(), asked: None, answered: Vec::new(), questions, ticks: 0, count_max }
    }

    /// Whoever wants to read waits. The question to be asked now, if any.
    pub(super) fn insert(&mut self, request: RequestId) -> Result<Option<u64>, RequestError> {
        let asked = self.asked.as_ref().map_or(0, |asked| asked.requests.len());
        let answered: usize = self.answered.iter().map(|(_, requests)| requests.len()).sum();
        if self.next.len() + asked + answered >= self.count_max {
            return Err(RequestError::Overloaded);
        }
        self.next.insert(request);
        Ok(if self.asked.is_none() { self.ask(BTreeSet::new()) } else { None })
    }

    pub(super) fn remove(&mut self, request: RequestId) {
        self.next.remove(&request);
        if let Some(asked) = &mut self.asked {
            asked.requests.remove(&request);
        }
        for (_, requests) in &mut self.answered {
            requests.remove(&request);
        }
        self.answered.retain(|(_, requests)| !requests.is_empty());
    }

    /// A new question, for these and for all who wait for the next one.
    fn ask(&mut self, mut requests: BTreeSet<RequestId>) -> Option<u64> {
        requests.append(&mut self.next);
        if requests.is_empty() {
            self.asked = None;
            return None;
        }
        self.questions = self.questions.wrapping_add(1);
        let question = self.questions;
        self.asked = Some(Asked { question, at: self.ticks, requests });
        Some(question)
    }

    /// Asks again for those of the question that is on its way.
    fn ask_again(&mut self) -> Option<u64> {
        let requests = take(&mut self.asked).map(|asked| asked.requests).unwrap_or_default();
        self.ask(requests)
    }

    /// The question to be asked again, if it was not answered for too long.
    pub(super) fn handle_tick(&mut self) -> Option<u64> {
        self.ticks += 1;
        let ticks = self.ticks;
        let is_late = self.asked.as_ref().is_some_and(|asked| ticks - asked.at >= REPEAT_TICKS);
        if is_late { self.ask_again() } else { None }
    }

    /// There is another leader, who was not asked.
    pub(super) fn handle_leader(&mut self) -> Option<u64> {
        self.ask_again()
    }

    /// A question is answered with an index. Who may read now, and the next question. An answer to an earlier question answers
    /// nothing: it may be older than what those of the later one have seen.
    pub(super) fn handle_answer(
        &mut self,
        question: u64,
        index: u64,
        applied: u64,
    ) -> (Vec<RequestId>, Option<u64>) {
        let Some(asked) = self.asked.take_if(|asked| asked.question == question) else {
            return (Vec::new(), None);
        };
        let ready = if index <= applied {
            asked.requests.into_iter().collect()
        } else {
            self.answered.push((index, asked.requests));
            Vec::new()
        };
        (ready, self.ask(BTreeSet::new()))
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
