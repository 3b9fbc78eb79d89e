//! The table of a shard's connections: slots that are used again, with generations that tell tenants apart.

use std::collections::VecDeque;

use dunlin_wire::Millis;

use super::super::SlotKey;
use super::super::agent::Agent;
use super::super::socket::Permit;
use super::super::wheel::Tick;
use crate::app::Shared;

/// One connection: its socket and its agent.
pub(super) struct Slot<C> {
    pub(super) conn: C,
    pub(super) agent: Agent,
    /// What the socket has not taken yet. While it is there, the connection is blocked.
    pub(super) unsent: Option<Box<Unsent>>,
    /// Counts the connection against the limits until it is dropped.
    _permit: Option<Permit>,
    /// It is in the queue of those to be read again.
    pub(super) is_hot: bool,
    /// News about input came while nothing could be read.
    pub(super) is_unread: bool,
    /// The peer's end is among what is still to be read; no news will say so again.
    pub(super) is_ended: bool,
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
    /// Whether the socket may be read: not while it takes nothing itself, so that a client which does not read cannot
    /// make more output.
    pub(super) fn may_read(&self, app: &Shared) -> bool {
        self.agent.is_leaving() || (self.unsent.is_none() && self.agent.takes_input(app))
    }

    /// Has the connection looked at in a later part of the turn or in the next one, once.
    pub(super) fn heat(&mut self, key: SlotKey, hot: &mut VecDeque<SlotKey>) {
        if !std::mem::replace(&mut self.is_hot, true) {
            hot.push_back(key);
        }
    }

    pub(super) fn new(conn: C, permit: Option<Permit>, agent: Agent) -> Self {
        Self {
            conn,
            agent,
            unsent: None,
            _permit: permit,
            is_hot: false,
            is_unread: false,
            is_ended: false,
            is_shut: false,
        }
    }
}

struct Entry<C> {
    generation: u32,
    /// The tick this place's entry in the wheel is armed for, 0 for none; other entries are out of date. It stays
    /// when a tenant leaves, so that many short tenants share one entry.
    armed: Tick,
    state: State<C>,
}

enum State<C> {
    Occupied(Slot<C>),
    Vacant { next: Option<u32> },
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
            && let State::Vacant { next } = entry.state
        {
            self.free = next;
            entry.state = State::Occupied(slot);
            return SlotKey { index, generation: entry.generation };
        }
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry { generation: 0, armed: 0, state: State::Occupied(slot) });
        SlotKey { index, generation: 0 }
    }

    pub(super) fn get_mut(&mut self, key: SlotKey) -> Option<&mut Slot<C>> {
        match self.entries.get_mut(key.index as usize) {
            Some(Entry { generation, state: State::Occupied(slot), .. }) if *generation == key.generation => {
                Some(slot)
            }
            _ => None,
        }
    }

    /// The tick the place's entry in the wheel is armed for, 0 for none.
    pub(super) fn armed_mut(&mut self, index: u32) -> Option<&mut Tick> {
        self.entries.get_mut(index as usize).map(|entry| &mut entry.armed)
    }

    /// Who is in a place now.
    pub(super) fn tenant(&self, index: u32) -> Option<SlotKey> {
        match self.entries.get(index as usize)? {
            Entry { generation, state: State::Occupied(_), .. } => {
                Some(SlotKey { index, generation: *generation })
            }
            Entry { state: State::Vacant { .. }, .. } => None,
        }
    }

    pub(super) fn remove(&mut self, key: SlotKey) -> Option<Slot<C>> {
        self.get_mut(key)?;
        let entry = self.entries.get_mut(key.index as usize)?;
        let vacant = State::Vacant { next: self.free };
        let State::Occupied(slot) = std::mem::replace(&mut entry.state, vacant) else { return None };
        // The last generation names listeners.
        entry.generation = (entry.generation + 1) % u32::MAX;
        self.free = Some(key.index);
        self.len -= 1;
        Some(slot)
    }

    /// The keys of all connections.
    pub(super) fn keys(&self) -> Vec<SlotKey> {
        let indices = 0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        indices.filter_map(|index| self.tenant(index)).collect()
    }
}
