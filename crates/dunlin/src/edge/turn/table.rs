//! The table of a shard's connections: slots that are used again, with generations that tell tenants apart.

use dunlin_wire::Millis;

use super::super::SlotKey;
use super::super::agent::Agent;
use super::super::socket::Permit;
use super::super::wheel::Tick;

/// One connection: its socket and its agent.
pub(super) struct Slot<C> {
    pub(super) conn: C,
    pub(super) agent: Agent,
    /// What the socket has not taken yet. While it is there, the connection is blocked.
    pub(super) unsent: Option<Box<Unsent>>,
    /// Counts the connection against the limits until it is dropped.
    _permit: Option<Permit>,
    /// The tick this connection's entry in the wheel is armed for; other entries are out of date.
    pub(super) armed: Tick,
    /// It is in the queue of those to be read again.
    pub(super) is_hot: bool,
    /// News about input came while nothing could be read.
    pub(super) is_unread: bool,
    /// The end of our side was sent.
    pub(super) is_shut: bool,
}

/// Output that the socket did not take.
pub(super) struct Unsent {
    pub(super) bytes: Vec<u8>,
    /// How much of `bytes` is written.
    pub(super) at: usize,
    pub(super) progress_at: Millis,
}

impl<C> Slot<C> {
    pub(super) fn new(conn: C, permit: Option<Permit>, agent: Agent) -> Self {
        Self {
            conn,
            agent,
            unsent: None,
            _permit: permit,
            armed: 0,
            is_hot: false,
            is_unread: false,
            is_shut: false,
        }
    }
}

enum Entry<C> {
    Occupied { generation: u32, slot: Slot<C> },
    Vacant { generation: u32, next: Option<u32> },
}

/// Slots by key.
pub(super) struct Table<C> {
    entries: Vec<Entry<C>>,
    free: Option<u32>,
    len: usize,
}

impl<C> Table<C> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), free: None, len: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn insert(&mut self, slot: Slot<C>) -> SlotKey {
        self.len += 1;
        if let Some(index) = self.free
            && let Some(entry) = self.entries.get_mut(index as usize)
            && let Entry::Vacant { generation, next } = *entry
        {
            self.free = next;
            *entry = Entry::Occupied { generation, slot };
            return SlotKey { index, generation };
        }
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry::Occupied { generation: 0, slot });
        SlotKey { index, generation: 0 }
    }

    pub(super) fn get_mut(&mut self, key: SlotKey) -> Option<&mut Slot<C>> {
        match self.entries.get_mut(key.index as usize) {
            Some(Entry::Occupied { generation, slot }) if *generation == key.generation => Some(slot),
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, key: SlotKey) -> Option<Slot<C>> {
        self.get_mut(key)?;
        let entry = self.entries.get_mut(key.index as usize)?;
        let vacant = Entry::Vacant { generation: key.generation.wrapping_add(1), next: self.free };
        let Entry::Occupied { slot, .. } = std::mem::replace(entry, vacant) else { return None };
        self.free = Some(key.index);
        self.len -= 1;
        Some(slot)
    }

    /// The keys of all connections.
    pub(super) fn keys(&self) -> Vec<SlotKey> {
        let key_of = |(index, entry): (usize, &Entry<C>)| match entry {
            Entry::Occupied { generation, .. } => {
                Some(SlotKey { index: u32::try_from(index).ok()?, generation: *generation })
            }
            Entry::Vacant { .. } => None,
        };
        self.entries.iter().enumerate().filter_map(key_of).collect()
    }
}
