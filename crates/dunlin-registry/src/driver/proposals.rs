//! Proposals that are not applied yet: those that wait for a leader, and those that are on their way.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_rafthttp::raftpb::EntryType;

use super::{Proposal, RequestError, RequestId};

/// Ticks after which a proposal that may be applied twice is proposed again: it may have been lost on its way to the leader.
const REPEAT_TICKS: u64 = 20;

/// How often that time is doubled: where commits take longer, the log must not fill with the same.
const REPEAT_DOUBLINGS_MAX: u32 = 4;

/// Bytes that are proposed together, about: an append carries no more.
const PROPOSED_LEN_MAX: usize = 1024 * 1024;

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
    /// When it was proposed last, in ticks, and how often.
    proposed_at: u64,
    times: u32,
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
        self.held.insert(request, Held { proposal, proposed_at: 0, times: 0 });
        self.waiting.insert(request);
        Ok(())
    }

    pub(super) fn remove(&mut self, request: RequestId) {
        if let Some(held) = self.held.remove(&request) {
            self.len -= held.proposal.data.len();
            self.waiting.remove(&request);
        }
    }

    /// The first ones that wait, as many as are proposed together: entries of the application's up to a length, or one change of
    /// members.
    pub(super) fn next_waiting(&self) -> Vec<(RequestId, &Proposal)> {
        let (mut next, mut len) = (Vec::new(), 0);
        for request in &self.waiting {
            let Some(held) = self.held.get(request) else { continue };
            let is_alone = held.proposal.entry_type != EntryType::Normal;
            if !next.is_empty() && (is_alone || len >= PROPOSED_LEN_MAX) {
                break;
            }
            len += held.proposal.data.len();
            next.push((*request, &held.proposal));
            if is_alone {
                break;
            }
        }
        next
    }

    pub(super) fn handle_proposed(&mut self, requests: &[RequestId]) {
        for request in requests {
            self.waiting.remove(request);
            if let Some(held) = self.held.get_mut(request) {
                held.proposed_at = self.ticks;
                held.times += 1;
            }
        }
    }

    /// There is another leader, to whom nothing was proposed yet.
    pub(super) fn handle_leader(&mut self) {
        self.repeat(|_| true);
    }

    pub(super) fn handle_tick(&mut self) {
        self.ticks += 1;
        let ticks = self.ticks;
        self.repeat(|held| {
            let doublings = held.times.saturating_sub(1).min(REPEAT_DOUBLINGS_MAX);
            ticks - held.proposed_at >= REPEAT_TICKS << doublings
        });
    }

    fn repeat(&mut self, is_due: impl Fn(&Held) -> bool) {
        for (request, held) in &self.held {
            if held.proposal.is_repeatable && is_due(held) {
                self.waiting.insert(*request);
            }
        }
    }
}
