//! The last events, for watches that are behind.

use std::collections::VecDeque;

use super::command::{KeyRange, KeyValue};
use crate::limits::{HISTORY_EVENTS_MAX, HISTORY_LEN_MAX};

/// Something that happened to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// The key, as it is since then. Of a deleted one `mod_revision` is when, and nothing else is said.
    pub entry: KeyValue,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The key was put.
    Put,
    /// The key was deleted, by a command or with its lease.
    Delete,
}

impl Event {
    /// The revision at which it happened. Several events may have the same.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.entry.mod_revision
    }
}

/// A watch asks for events that are no longer kept. Its keys have to be read anew, and watched from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("events up to revision {compacted} are no longer kept")]
pub struct Compacted {
    /// The last revision of which events may be missing.
    pub compacted: u64,
}

/// The last events, in order.
#[derive(Debug, Clone)]
pub(super) struct History {
    events: VecDeque<Event>,
    len: usize,
    /// Of this revision and those before, events may be missing.
    compacted: u64,
    events_max: usize,
}

impl History {
    /// Nothing, after everything up to a revision.
    pub(super) const fn after(compacted: u64) -> Self {
        Self { events: VecDeque::new(), len: 0, compacted, events_max: HISTORY_EVENTS_MAX }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.len += event.entry.len();
        self.events.push_back(event);
    }

    /// Forgets the oldest events beyond the limits. Events of one revision go together, and those of the last one stay.
    pub(super) fn trim(&mut self, revision: u64) {
        while (self.events.len() > self.events_max || self.len > HISTORY_LEN_MAX)
            && self.events.front().is_some_and(|event| event.revision() < revision)
        {
            let Some(oldest) = self.events.pop_front() else { return };
            self.len -= oldest.entry.len();
            self.compacted = oldest.revision();
            while self.events.front().is_some_and(|event| event.revision() == self.compacted) {
                self.len -= self.events.pop_front().map_or(0, |event| event.entry.len());
            }
        }
    }

    /// The events of these keys from a revision on, in order, until there are so many; events of one revision are not torn apart.
    /// With the revision to go on from.
    pub(super) fn since(
        &self,
        revision: u64,
        (range, now): (&KeyRange, u64),
        events_max: usize,
    ) -> Result<(Vec<Event>, u64), Compacted> {
        if revision <= self.compacted {
            return Err(Compacted { compacted: self.compacted });
        }
        let begin = self.events.partition_point(|event| event.revision() < revision);
        let mut found: Vec<Event> = Vec::new();
        for event in self.events.iter().skip(begin) {
            let is_same = found.last().is_some_and(|last| last.revision() == event.revision());
            if found.len() >= events_max && !is_same {
                let next = event.revision();
                return Ok((found, next));
            }
            if range.contains(&event.entry.key) {
                found.push(event.clone());
            }
        }
        // Who asks from a revision that is yet to come has seen what is before it, on a member that is ahead of this one.
        Ok((found, revision.max(now + 1)))
    }

    #[cfg(test)]
    pub(super) const fn limited_to(mut self, events_max: usize) -> Self {
        self.events_max = events_max;
        self
    }
}
