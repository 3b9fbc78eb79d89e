//! Where the pool keeps its connections: by id without hashing, and those that are idle in the order in which they became it.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::time::Instant;

use slab::Slab;

use super::Conn;

/// A connection, from the begin of its dial until it is closed. Never used twice; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnId {
    number: u64,
    slot: usize,
}

impl ConnId {
    /// Of a connection outside of any pool.
    pub(crate) const ALONE: Self = Self { number: 0, slot: 0 };

    /// Its number among all, from 1 on.
    pub(crate) const fn number(self) -> u64 {
        self.number
    }
}

/// The number says it all.
impl Hash for ConnId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.number);
    }
}

/// Connections by id.
#[derive(Debug, Default)]
pub(super) struct Conns {
    slots: Slab<(u64, Conn)>,
    last: u64,
}

impl Conns {
    pub(super) fn insert(&mut self, conn: Conn) -> ConnId {
        self.last += 1;
        ConnId { number: self.last, slot: self.slots.insert((self.last, conn)) }
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&Conn> {
        self.slots.get(id.slot).filter(|(number, _)| *number == id.number).map(|(_, conn)| conn)
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.slots.get_mut(id.slot).filter(|(number, _)| *number == id.number).map(|(_, conn)| conn)
    }

    pub(super) fn remove(&mut self, id: ConnId) {
        if self.get(id).is_some() {
            self.slots.remove(id.slot);
        }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Conn> {
        self.slots.iter().map(|(_, (_, conn))| conn)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ConnId, &mut Conn)> {
        self.slots.iter_mut().map(|(slot, (number, conn))| (ConnId { number: *number, slot }, conn))
    }

    fn is_idle_since(&self, id: ConnId, since: Instant) -> bool {
        self.get(id).is_some_and(|conn| conn.idle_since == Some(since))
    }
}

/// What else belongs to connections, by their ids.
#[derive(Debug)]
pub(crate) struct ById<T>(Vec<Option<(u64, T)>>);

impl<T> Default for ById<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ById<T> {
    pub(crate) fn insert(&mut self, id: ConnId, value: T) {
        if self.0.len() <= id.slot {
            self.0.resize_with(id.slot + 1, || None);
        }
        if let Some(place) = self.0.get_mut(id.slot) {
            *place = Some((id.number, value));
        }
    }

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut T> {
        let (number, value) = self.0.get_mut(id.slot)?.as_mut()?;
        (*number == id.number).then_some(value)
    }

    pub(crate) fn remove(&mut self, id: ConnId) -> Option<T> {
        let place = self.0.get_mut(id.slot)?;
        let taken = place.take_if(|(number, _)| *number == id.number);
        taken.map(|(_, value)| value)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten().map(|(_, value)| value)
    }
}

/// Idle connections, that which is idle for longest first. What is no longer idle is left in and passed over, so that a
/// request that takes the newest connection costs nothing here; it is cleared out before it outgrows the rest.
#[derive(Debug, Default)]
pub(super) struct IdleQueue {
    entries: VecDeque<(Instant, ConnId)>,
    idle: usize,
}

/// Entries that may be stale without any being cleared out.
const STALE_MAX: usize = 32;

impl IdleQueue {
    /// A connection became idle now, and is noted so in `conns`.
    pub(super) fn push(&mut self, now: Instant, id: ConnId, conns: &Conns) {
        if self.entries.len() > 2 * self.idle + STALE_MAX {
            self.entries.retain(|(since, id)| conns.is_idle_since(*id, *since));
        }
        self.entries.push_back((now, id));
        self.idle += 1;
    }

    /// A connection is no longer idle, and is noted so in `conns`.
    pub(super) fn remove_one(&mut self, conns: &Conns) {
        self.idle = self.idle.saturating_sub(1);
        while let Some((since, id)) = self.entries.front()
            && !conns.is_idle_since(*id, *since)
        {
            self.entries.pop_front();
        }
    }

    /// The one that is idle for longest.
    pub(super) fn first(&self) -> Option<(Instant, ConnId)> {
        self.entries.front().copied()
    }

    /// All of them, in order.
    pub(super) fn ids(&self, conns: &Conns) -> Vec<ConnId> {
        let idle = self.entries.iter().filter(|(since, id)| conns.is_idle_since(*id, *since));
        idle.map(|(_, id)| *id).collect()
    }

    pub(super) const fn len(&self) -> usize {
        self.idle
    }
}
