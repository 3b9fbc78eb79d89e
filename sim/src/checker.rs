//! What must hold of all members together, looked at while they run.
//!
//! It sees everything at once, as no member does: who leads which term, what was committed, what was applied with which outcome.

use std::collections::BTreeMap;

use dunlin_registry::consensus::{CoreLook, Role};
use dunlin_registry::store::{
    Answer, Answered, Command, Event, KeyRange, LeaseGrant, LeaseRevoke, Operation, Outcome, Store,
};
use prost::Message as _;

use crate::ground::Wrong;
use crate::plan::{Time, UNIT_MS};

/// How much faster than time the fastest clock of a member is, at most.
const CLOCK_FACTOR_MAX: f64 = 1.25;

/// What was applied at an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Applied {
    revision: u64,
    outcome: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// Who leads, by term.
    leaders: BTreeMap<u64, u64>,
    /// Term and checksum of each entry that some member took for committed.
    committed: BTreeMap<u64, (u64, u32)>,
    applied: BTreeMap<u64, Applied>,
    /// The last index that any member has applied.
    applied_max: u64,
    /// Checksums of stores, by the index they had applied.
    stores: BTreeMap<u64, u32>,
    /// Everything that happened to keys, by revision.
    events: BTreeMap<u64, Vec<Event>>,
    /// When each lease was granted or kept alive last, and for how long in milliseconds.
    leases: BTreeMap<u64, (Time, u64)>,
    /// When commands of clients were applied first on any member, and how many were in the same unit of time before, by client and
    /// number.
    done: BTreeMap<(u64, u64), (Time, u64)>,
    done_last: (Time, u64),
}

fn wrong(checker: &'static str, text: String) -> Result<(), Wrong> {
    Err(Wrong { checker, text })
}

impl Checker {
    /// Looks at a member. `term_of` gives the terms of entries in its log.
    pub(crate) fn see_look(
        &mut self,
        (id, look): (u64, &CoreLook),
        term_of: impl Fn(u64) -> Option<u64>,
    ) -> Result<(), Wrong> {
        if look.role != Role::Leader {
            return Ok(());
        }
        let term_max = self.leaders.last_key_value().map_or(0, |(term, _)| *term);
        match self.leaders.get(&look.term) {
            Some(leader) if *leader == id => return Ok(()),
            Some(leader) => {
                return wrong(
                    "one leader a term",
                    format!("members {leader} and {id} lead in term {}", look.term),
                );
            }
            None => self.leaders.insert(look.term, id),
        };
        if look.term < term_max {
            return Ok(());
        }
        for (index, (term, _)) in self.committed.iter().rev().take(64) {
            let has = term_of(*index);
            if look.last_index < *index || has.is_some_and(|has| has != *term) {
                let text = format!(
                    "member {id} leads in term {} without the committed entry {index} of term {term}; it has {has:?}, and {} entries",
                    look.term, look.last_index
                );
                return wrong("a leader has what is committed", text);
            }
        }
        Ok(())
    }

    /// A member takes an entry for committed.
    pub(crate) fn see_committed(&mut self, id: u64, index: u64, entry: (u64, u32)) -> Result<(), Wrong> {
        let known = *self.committed.entry(index).or_insert(entry);
        if known == entry {
            return Ok(());
        }
        wrong(
            "what is committed stays",
            format!("entry {index} is of term {} for member {id}, and was of term {}", entry.0, known.0),
        )
    }

    /// A member has applied a command, or an entry without one.
    pub(crate) fn see_applied(
        &mut self,
        (id, now): (u64, Time),
        store: &Store,
        command: Option<(&Command, &Outcome)>,
    ) -> Result<(), Wrong> {
        let (index, revision) = (store.applied(), store.revision());
        let outcome = command.map_or(0, |(_, outcome)| outcome_checksum(outcome));
        let applied = Applied { revision, outcome };
        let known = *self.applied.entry(index).or_insert(applied);
        if known != applied {
            let text = format!("entry {index} gave member {id} {applied:?}, and gave another one {known:?}");
            return wrong("equal answers", text);
        }
        if index <= self.applied_max {
            return Ok(());
        }
        self.applied_max = index;
        self.see_events(store);
        let Some((command, outcome)) = command else { return Ok(()) };
        let number = (command.client, command.sequence);
        if self.done.contains_key(&number) {
            // A retry, which did nothing.
            return Ok(());
        }
        if command.client != 0 {
            let place = if self.done_last.0 == now { self.done_last.1 + 1 } else { 0 };
            self.done_last = (now, place);
            self.done.insert(number, self.done_last);
        }
        self.see_lease(now, command, outcome)
    }

    fn see_events(&mut self, store: &Store) {
        let next = self.events.last_key_value().map_or(0, |(revision, _)| *revision) + 1;
        if store.revision() < next {
            return;
        }
        let (events, _) = store.events_since(next, &KeyRange::all(), usize::MAX).unwrap_or_default();
        for event in events {
            self.events.entry(event.revision()).or_default().push(event);
        }
    }

    fn see_lease(&mut self, now: Time, command: &Command, outcome: &Outcome) -> Result<(), Wrong> {
        let Ok(Answered { answer: Some(Answer::Lease(lease)), .. }) = outcome else { return Ok(()) };
        match &command.operation {
            Some(Operation::LeaseGrant(LeaseGrant { ttl_ms, .. })) => {
                self.leases.insert(*lease, (now, *ttl_ms));
            }
            Some(Operation::LeaseKeepAlive(_)) => {
                self.leases.entry(*lease).and_modify(|(renewed, _)| *renewed = now);
            }
            Some(Operation::LeaseRevoke(LeaseRevoke { .. })) if command.client == 0 => {
                let Some((renewed, ttl_ms)) = self.leases.remove(lease) else { return Ok(()) };
                let lived_ms = (now - renewed) * UNIT_MS;
                if (lived_ms as f64) * CLOCK_FACTOR_MAX < ttl_ms as f64 {
                    let text = format!(
                        "lease {lease} of {ttl_ms} ms is ended {lived_ms} ms after it was kept alive"
                    );
                    return wrong("leases live their time", text);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether it is time to compare stores at this index.
    pub(crate) fn is_compared(index: u64, every: u64) -> bool {
        index.is_multiple_of(every)
    }

    /// A member has a store.
    pub(crate) fn see_store(&mut self, id: u64, store: &Store) -> Result<(), Wrong> {
        let checksum = store.image().checksum();
        let known = *self.stores.entry(store.applied()).or_insert(checksum);
        if known == checksum {
            return Ok(());
        }
        wrong("equal stores", format!("the store of member {id} is another one at index {}", store.applied()))
    }

    /// What happened to these keys at a revision or after it, first.
    pub(crate) fn event_from(&self, revision: u64, range: &KeyRange) -> Option<u64> {
        let events = self.events.range(revision..);
        let mut with =
            events.filter(|(_, events)| events.iter().any(|event| range.contains(&event.entry.key)));
        with.next().map(|(revision, _)| *revision)
    }

    /// What happened to these keys at a revision.
    pub(crate) fn events_at(&self, revision: u64, range: &KeyRange) -> Vec<Event> {
        let events = self.events.get(&revision).into_iter().flatten();
        events.filter(|event| range.contains(&event.entry.key)).cloned().collect()
    }

    /// When a client's command was applied first anywhere, and after how many others in the same unit of time.
    pub(crate) fn done_at(&self, number: (u64, u64)) -> Option<(Time, u64)> {
        self.done.get(&number).copied()
    }

    pub(crate) fn committed_count(&self) -> usize {
        self.committed.len()
    }
}

fn outcome_checksum(outcome: &Outcome) -> u32 {
    match outcome {
        Ok(answered) => crc32fast::hash(&answered.encode_to_vec()),
        Err(error) => crc32fast::hash(error.to_string().as_bytes()) | 1,
    }
}
