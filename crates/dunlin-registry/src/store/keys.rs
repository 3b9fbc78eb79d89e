//! The keys with their values, in order. A clone shares everything that does not change after it, so a snapshot of a store in use
//! costs next to nothing.

use std::ops::Bound;

use bytes::Bytes;
use rpds::RedBlackTreeMapSync;

use super::command::{KeyRange, KeyValue, Put, RangeAnswer};
use crate::limits::ENTRY_OVERHEAD;

/// The keys.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    entries: RedBlackTreeMapSync<Bytes, Entry>,
    len: usize,
}

/// Everything of a key but its name.
#[derive(Debug, Clone)]
struct Entry {
    value: Bytes,
    create_revision: u64,
    mod_revision: u64,
    version: u64,
    lease: u64,
}

impl Default for Keys {
    fn default() -> Self {
        Self { entries: RedBlackTreeMapSync::new_sync(), len: 0 }
    }
}

impl Keys {
    /// How many bytes a put takes.
    pub(super) const fn needed(put: &Put) -> usize {
        entry_len(&put.key, &put.value)
    }

    /// Sets a key that was checked. Gives it as it is now, and the lease it had if it was there.
    pub(super) fn put(&mut self, revision: u64, put: &Put) -> (KeyValue, Option<u64>) {
        let before = self.entries.get(&put.key);
        let lease_before = before.map(|before| before.lease);
        let entry = Entry {
            value: put.value.clone(),
            create_revision: before.map_or(revision, |before| before.create_revision),
            mod_revision: revision,
            version: before.map_or(1, |before| before.version + 1),
            lease: put.lease,
        };
        if let Some(before) = before {
            self.len -= entry_len(&put.key, &before.value);
        }
        let now = look(&put.key, &entry);
        self.insert(put.key.clone(), entry);
        (now, lease_before)
    }

    fn insert(&mut self, key: Bytes, entry: Entry) {
        self.len += entry_len(&key, &entry.value);
        self.entries.insert_mut(key, entry);
    }

    /// Puts a key back as it was.
    pub(super) fn restore(&mut self, entry: KeyValue) {
        let KeyValue { key, value, create_revision, mod_revision, version, lease } = entry;
        self.insert(key, Entry { value, create_revision, mod_revision, version, lease });
    }

    /// Removes a key, and gives the lease it had.
    pub(super) fn remove(&mut self, key: &Bytes) -> Option<u64> {
        let entry = self.entries.get(key)?;
        let (len, lease) = (entry_len(key, &entry.value), entry.lease);
        self.len -= len;
        self.entries.remove_mut(key);
        Some(lease)
    }

    pub(super) fn get(&self, key: &Bytes) -> Option<KeyValue> {
        self.entries.get(key).map(|entry| look(key, entry))
    }

    /// The names of the keys of a range, in order.
    pub(super) fn names(&self, range: &KeyRange) -> impl Iterator<Item = Bytes> {
        self.walk(range).map(|(key, _)| key.clone())
    }

    pub(super) fn range(&self, range: &KeyRange, entries_max: usize, len_max: usize) -> RangeAnswer {
        let (mut answer, mut len) = (RangeAnswer::default(), 0);
        for (key, entry) in self.walk(range) {
            len += entry_len(key, &entry.value);
            let is_first = answer.entries.is_empty();
            if answer.entries.len() >= entries_max || (len > len_max && !is_first) {
                answer.has_more = true;
                break;
            }
            answer.entries.push(look(key, entry));
        }
        answer
    }

    fn walk(&self, range: &KeyRange) -> impl Iterator<Item = (&Bytes, &Entry)> {
        let upper = match &range.end {
            None => Bound::Included(range.start.clone()),
            Some(end) if end.is_empty() => Bound::Unbounded,
            Some(end) if *end < range.start => Bound::Excluded(range.start.clone()),
            Some(end) => Bound::Excluded(end.clone()),
        };
        self.entries.range((Bound::Included(range.start.clone()), upper))
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = KeyValue> + '_ {
        self.entries.iter().map(|(key, entry)| look(key, entry))
    }

    /// Bytes of all names and values, with what each takes besides.
    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

const fn entry_len(key: &Bytes, value: &Bytes) -> usize {
    key.len() + value.len() + ENTRY_OVERHEAD
}

fn look(key: &Bytes, entry: &Entry) -> KeyValue {
    let Entry { value, create_revision, mod_revision, version, lease } = entry.clone();
    KeyValue { key: key.clone(), value, create_revision, mod_revision, version, lease }
}
