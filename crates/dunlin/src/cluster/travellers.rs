//! Our sessions that other nodes know, to be found by what those nodes say of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use crate::session::{Session, SessionId};

/// Our sessions that other nodes know.
#[derive(Default)]
pub(super) struct Travellers {
    sessions: RwLock<HashMap<u64, Session>>,
    by_peer: Mutex<HashMap<u64, HashSet<u64>>>,
}

impl Travellers {
    fn sessions(&self) -> RwLockReadGuard<'_, HashMap<u64, Session>> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_peer(&self) -> MutexGuard<'_, HashMap<u64, HashSet<u64>>> {
        self.by_peer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, session: &Session, peer: u64) {
        let id = session.id().get();
        self.sessions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(id)
            .or_insert_with(|| session.clone());
        self.by_peer().entry(peer).or_default().insert(id);
    }

    pub(super) fn remove(&self, id: SessionId, peer: u64) {
        let mut by_peer = self.by_peer();
        if let Some(known) = by_peer.get_mut(&peer) {
            known.remove(&id.get());
            if known.is_empty() {
                by_peer.remove(&peer);
            }
        }
    }

    pub(super) fn end(&self, id: SessionId) {
        self.sessions.write().unwrap_or_else(PoisonError::into_inner).remove(&id.get());
    }

    pub(super) fn get(&self, id: u64) -> Option<Session> {
        self.sessions().get(&id).cloned()
    }

    pub(super) fn get_all(&self, ids: &[u64]) -> Vec<Session> {
        let sessions = self.sessions();
        ids.iter().filter_map(|id| sessions.get(id)).cloned().collect()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.sessions().len()
    }

    /// The sessions that a node knows.
    pub(super) fn known_to(&self, peer: u64) -> Vec<u64> {
        let by_peer = self.by_peer();
        by_peer.get(&peer).map(|known| known.iter().copied().collect()).unwrap_or_default()
    }

    /// A node is gone for good.
    pub(super) fn leave(&self, peer: u64) {
        let known = self.by_peer().remove(&peer);
        for session in self.get_all(&known.into_iter().flatten().collect::<Vec<_>>()) {
            session.forget_node(peer);
        }
    }
}
