//! Requests that wait for their answer: which numbers are taken, and which deadline comes first.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::REQUEST_ID_MAX;
use crate::time::Millis;

/// Unanswered requests by number and by deadline.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    deadlines: BTreeMap<u64, Millis>,
    by_deadline: BTreeSet<(Millis, u64)>,
    last_id: u64,
}

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.deadlines.len()
    }

    /// The number the next request would get: the one after the last, leaving out those still unanswered, from 1 again after
    /// [`REQUEST_ID_MAX`].
    pub(super) fn next_id(&self) -> u64 {
        let mut id = self.last_id;
        // Ends: fewer requests are in flight than there are numbers.
        loop {
            id = if id >= REQUEST_ID_MAX { 1 } else { id + 1 };
            if !self.deadlines.contains_key(&id) {
                return id;
            }
        }
    }

    pub(super) fn insert(&mut self, id: u64, deadline: Millis) {
        self.last_id = id;
        self.deadlines.insert(id, deadline);
        self.by_deadline.insert((deadline, id));
    }

    /// Forgets a request; whether it was there.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        match self.deadlines.remove(&id) {
            Some(deadline) => self.by_deadline.remove(&(deadline, id)),
            None => false,
        }
    }

    pub(super) fn first_deadline(&self) -> Option<Millis> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Forgets and gives one request whose deadline has come.
    pub(super) fn pop_due(&mut self, now: Millis) -> Option<u64> {
        let (_, id) = *self.by_deadline.first().filter(|(deadline, _)| *deadline <= now)?;
        self.remove(id);
        Some(id)
    }

    /// Forgets and gives all of them, by number.
    pub(super) fn drain(&mut self) -> Vec<u64> {
        self.by_deadline.clear();
        std::mem::take(&mut self.deadlines).into_keys().collect()
    }
}
