//! The state machine: commands of the log in, the same keys and answers on every member out.
//!
//! It knows no clock, no disk and no Raft. What it is asked to do it does at once, in the order of the log; what depends on time
//! (when a lease is over) comes as a command like any other. Each command that changes a key makes one revision.
//!
//! - `store/command.rs`: commands and their answers. `store/check.rs`: which are within the limits.
//! - `store/keys.rs`: the keys, their values, and what they take.
//! - `store/txn.rs`: transactions.
//! - `store/lease.rs`: which keys go with which lease.
//! - `store/client.rs`: the last command of each client, so that a retry is not done twice.
//! - `store/history.rs`: the last events, for watches.
//! - `store/members.rs`: who is in the Raft group and where, and who was.
//! - `store/image.rs`: the whole of it as bytes, and back.
//!
//! Invariants: two stores that applied the same commands are equal, and so are their answers; a command that is refused has changed
//! nothing but what is remembered of its client; revisions never go back; nothing grows beyond its limit.

mod check;
mod client;
mod command;
mod error;
mod history;
mod image;
mod keys;
mod lease;
mod members;
mod refusal;
#[cfg(test)]
mod tests;
mod txn;

use bytes::Bytes;
use dunlin_rafthttp::raftpb::ConfChangeV2;

use self::client::Clients;
pub use self::command::{
    Answer, Answered, Command, Compare, Compared, Get, KeyRange, KeyValue, LeaseGrant, LeaseRevoke,
    Operation, Outcome, Put, RangeAnswer, Relation, Txn, TxnAnswer, TxnOperation, TxnStep,
};
pub use self::error::StoreError;
use self::history::History;
pub use self::history::{Compacted, Event, EventKind};
pub use self::image::{Image, ImageError};
use self::keys::Keys;
pub use self::lease::LeaseLook;
use self::lease::Leases;
use self::members::Members;
pub use self::members::{Member, MemberError};
pub use self::refusal::{Refusal, UnknownRefusal};
use crate::limits::{RANGE_ENTRIES_MAX, RANGE_LEN_MAX, STORE_LEN_MAX};

/// The state machine of the registry.
///
/// ```
/// use dunlin_registry::store::{Command, KeyRange, Operation, Put, Store};
///
/// let mut store = Store::new();
/// let put = Put { key: "name".into(), value: "dunlin".into(), lease: 0 };
/// let command = Command { client: 7, sequence: 1, operation: Some(Operation::Put(put)), ..Command::default() };
/// assert_eq!(store.apply(1, &command)?.revision, 1);
/// assert_eq!(store.apply(2, &command)?.revision, 1); // A retry changes nothing and is told the same.
/// assert_eq!(store.range(&KeyRange::all(), 0).entries[0].value, "dunlin");
/// # Ok::<(), dunlin_registry::store::StoreError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Store {
    /// The index of the last entry that was applied.
    applied: u64,
    revision: u64,
    keys: Keys,
    leases: Leases,
    clients: Clients,
    members: Members,
    history: History,
    len_max: usize,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// A store with nothing in it, at revision 0.
    #[must_use]
    pub fn new() -> Self {
        Self {
            applied: 0,
            revision: 0,
            keys: Keys::default(),
            leases: Leases::default(),
            clients: Clients::default(),
            members: Members::default(),
            history: History::after(0),
            len_max: STORE_LEN_MAX,
        }
    }

    /// Applies one entry of the log.
    ///
    /// # Errors
    ///
    /// [`StoreError`], the same on every member. The entry is applied all the same.
    pub fn apply(&mut self, index: u64, command: &Command) -> Outcome {
        self.applied = index;
        if let Some(known) = self.clients.look(command) {
            return known;
        }
        let outcome = match &command.operation {
            Some(operation) => self.operate(index, operation),
            None => Ok(None),
        };
        let revision = self.revision;
        let outcome = outcome.map(|answer| Answered { revision, answer });
        self.clients.remember(index, command, &outcome);
        self.history.trim(self.revision);
        outcome
    }

    /// Notes that an entry without a command was applied.
    pub const fn skip(&mut self, index: u64) {
        self.applied = index;
    }

    fn operate(&mut self, index: u64, operation: &Operation) -> Result<Option<Answer>, StoreError> {
        operation.check()?;
        let answer = match operation {
            Operation::Put(put) => {
                self.check_put(put, 0)?;
                let revision = self.revision + 1;
                let was_there = self.put(revision, put);
                self.revision = revision;
                Answer::Put(was_there)
            }
            Operation::Delete(range) => {
                let deleted = self.delete(self.revision + 1, range);
                self.revision += u64::from(deleted > 0);
                Answer::Deleted(deleted)
            }
            Operation::Txn(txn) => Answer::Txn(self.transact(txn)?),
            Operation::LeaseGrant(grant) => Answer::Lease(self.leases.grant(index, *grant)?),
            Operation::LeaseRevoke(revoke) => {
                self.revoke(*revoke)?;
                Answer::Lease(revoke.lease)
            }
            Operation::LeaseKeepAlive(lease) => {
                self.leases.keep_alive(index, *lease)?;
                Answer::Lease(*lease)
            }
        };
        Ok(Some(answer))
    }

    /// Whether there is what a put needs, after others of the same transaction that take `more` bytes; how many it takes.
    fn check_put(&self, put: &Put, more: usize) -> Result<usize, StoreError> {
        let needed = Keys::needed(put);
        if put.lease != 0 && !self.leases.is_known(put.lease) {
            return Err(StoreError::LeaseUnknown { lease: put.lease });
        }
        let (len, len_max) = (self.keys.len() + more, self.len_max);
        if len + needed > len_max {
            return Err(StoreError::Full { len, len_max });
        }
        Ok(needed)
    }

    /// Sets a key that was checked. Whether it was there before.
    fn put(&mut self, revision: u64, put: &Put) -> bool {
        let (entry, before) = self.keys.put(revision, put);
        if let Some(lease_before) = before {
            self.leases.detach(lease_before, &entry.key);
        }
        self.leases.attach(entry.lease, &entry.key);
        self.history.push(Event { kind: EventKind::Put, entry });
        before.is_some()
    }

    fn delete(&mut self, revision: u64, range: &KeyRange) -> u64 {
        let keys: Vec<Bytes> = self.keys.names(range).collect();
        keys.iter().filter(|key| self.delete_key(revision, key)).count() as u64
    }

    fn delete_key(&mut self, revision: u64, key: &Bytes) -> bool {
        let Some(lease) = self.keys.remove(key) else { return false };
        self.leases.detach(lease, key);
        let entry = KeyValue { key: key.clone(), mod_revision: revision, ..KeyValue::default() };
        self.history.push(Event { kind: EventKind::Delete, entry });
        true
    }

    fn revoke(&mut self, revoke: LeaseRevoke) -> Result<(), StoreError> {
        let keys = self.leases.revoke(revoke)?;
        let revision = self.revision + 1;
        let deleted = keys.iter().filter(|key| self.delete_key(revision, key)).count();
        self.revision += u64::from(deleted > 0);
        Ok(())
    }

    /// The keys of a range as they are now, in order: `limit` at most (0 for no limit of the caller's), and no more than
    /// [`RANGE_ENTRIES_MAX`] and [`RANGE_LEN_MAX`].
    #[must_use]
    pub fn range(&self, range: &KeyRange, limit: u64) -> RangeAnswer {
        self.range_within(range, limit, RANGE_LEN_MAX)
    }

    fn range_within(&self, range: &KeyRange, limit: u64, len_max: usize) -> RangeAnswer {
        let entries_max = match usize::try_from(limit) {
            Ok(limit @ 1..) => limit.min(RANGE_ENTRIES_MAX),
            _ => RANGE_ENTRIES_MAX,
        };
        self.keys.range(range, entries_max, len_max)
    }

    /// The events of these keys from a revision on, in order, about `events_max` of them, and the revision to ask for next. Events of
    /// one revision come together.
    ///
    /// # Errors
    ///
    /// [`Compacted`] when events from that revision on are no longer kept.
    pub fn events_since(
        &self,
        revision: u64,
        range: &KeyRange,
        events_max: usize,
    ) -> Result<(Vec<Event>, u64), Compacted> {
        self.history.since(revision, (range, self.revision), events_max)
    }

    /// The leases there are, in order.
    pub fn leases(&self) -> impl Iterator<Item = LeaseLook> + '_ {
        self.leases.iter()
    }

    /// One lease.
    #[must_use]
    pub fn lease(&self, lease: u64) -> Option<LeaseLook> {
        self.leases.look(lease)
    }

    /// The keys of a lease, in order.
    pub fn lease_keys(&self, lease: u64) -> impl Iterator<Item = &Bytes> {
        self.leases.keys(lease)
    }

    /// The members of the Raft group, by their ids.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }

    /// One member of the Raft group.
    #[must_use]
    pub fn member(&self, id: u64) -> Option<&Member> {
        self.members.get(id)
    }

    /// Whether there was such a member and never will be again.
    #[must_use]
    pub fn is_removed(&self, id: u64) -> bool {
        self.members.is_removed(id)
    }

    /// Who was a member and never will be again.
    pub fn removed_members(&self) -> impl Iterator<Item = u64> + '_ {
        self.members.removed()
    }

    /// Whether a change of members may be proposed.
    ///
    /// # Errors
    ///
    /// [`MemberError`] when it would bring a removed member back, be about nobody, or is not known here.
    pub fn check_change(&self, change: &ConfChangeV2) -> Result<(), MemberError> {
        self.members.check(change)
    }

    /// Applies a change of members: who they are and where. Whether Raft is to follow it: a change of URLs is none of its business.
    ///
    /// # Errors
    ///
    /// [`MemberError::UnknownChange`] when it does something that is not known here: this member can no longer follow the others.
    pub fn apply_change(&mut self, index: u64, change: &ConfChangeV2) -> Result<bool, MemberError> {
        self.applied = index;
        self.members.apply(change)
    }

    /// The revision of the last change.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The index of the last entry that was applied.
    #[must_use]
    pub const fn applied(&self) -> u64 {
        self.applied
    }

    /// Bytes of keys and values, with what each takes besides.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.len() == 0
    }

    #[cfg(test)]
    pub(crate) fn limited_to(mut self, len_max: usize, events_max: usize) -> Self {
        self.len_max = len_max;
        self.history = self.history.limited_to(events_max);
        self
    }
}
