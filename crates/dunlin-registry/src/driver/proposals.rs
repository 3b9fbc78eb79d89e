//! Proposals that are not applied yet: those that wait for a leader, and those that are on their way.

use std::collections::{BTreeMap, BTreeSet};

use super::{Proposal, RequestError, RequestId};

/// Ticks after which a proposal that may be applied twice is proposed again: it may have been lost on its way to the leader.
const REPEAT_TICKS: u64 = 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Proposals {
    held: BTreeMap<RequestId, Held>,
    /// Those of them that wait to be proposed.
    waiting: BTreeSet<RequestId>,
    len: usize,
    ticks: u64,
    count_max: usize,
    len_max: usize,
}

#[derive(Debug)]
struct Held {
    proposal: Proposal,
    /// When it was proposed last, in ticks.
    proposed_at: u64,
}

impl Proposals {
    pub(super) const fn new(count_max: usize, len_max: usize) -> Self {
        Self { held: BTreeMap::new(), waiting: BTreeSet::new(), len: 0, ticks: 0, count_max, len_max }
    }

    pub(super) fn insert(&mut self, request: RequestId, proposal: Proposal) -> Result<(), RequestError> {
        let len = proposal.data.len();
        if self.held.len() >= self.count_max || self.len + len > self.len_max {
            return Err(RequestError::Overloaded);
        }
        self.len += len;
        self.held.insert(request, Held { proposal, proposed_at: 0 });
        self.waiting.insert(request);
        Ok(())
    }

    pub(super) fn remove(&mut self, request: RequestId) {
        if let Some(held) = self.held.remove(&request) {
            self.len -= held.proposal.data.len();
            self.waiting.remove(&request);
        }
    }

    /// The first one that waits.
    pub(super) fn next_waiting(&self) -> Option<(RequestId, &Proposal)> {
        let request = *self.waiting.first()?;
        self.held.get(&request).map(|held| (request, &held.proposal))
    }

    pub(super) fn handle_proposed(&mut self, request: RequestId) {
        self.waiting.remove(&request);
        if let Some(held) = self.held.get_mut(&request) {
            held.proposed_at = self.ticks;
        }
    }

    /// There is another leader, to whom nothing was proposed yet.
    pub(super) fn handle_leader(&mut self) {
        self.repeat(|_| true);
    }

    pub(super) fn handle_tick(&mut self) {
        self.ticks += 1;
        let ticks = self.ticks;
        self.repeat(|proposed_at| ticks - proposed_at >= REPEAT_TICKS);
    }

    fn repeat(&mut self, is_due: impl Fn(u64) -> bool) {
        for (request, held) in &self.held {
            if held.proposal.is_repeatable && is_due(held.proposed_at) {
                self.waiting.insert(*request);
            }
        }
    }
}
