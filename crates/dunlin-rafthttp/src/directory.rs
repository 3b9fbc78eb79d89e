//! Who is talked to, and what follows from it: who is a member and who may talk without being one.
//!
//! A peer is a member. A remote is somebody who announced itself and is no member yet: it is posted to, so that it can be
//! answered. The sets that messages are judged by are kept beside the links, since they change seldom and are asked for with
//! every message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::core::MemberId;
use crate::limits::REMOTES_MAX;
use crate::net::link::Link;

/// See the module.
#[derive(Debug)]
pub(crate) struct Directory {
    me: MemberId,
    peers: BTreeMap<MemberId, Arc<Link>>,
    remotes: BTreeMap<MemberId, Arc<Link>>,
    members: BTreeSet<MemberId>,
    joining: BTreeSet<MemberId>,
}

impl Directory {
    pub(crate) fn new(me: MemberId) -> Self {
        Self {
            me,
            peers: BTreeMap::new(),
            remotes: BTreeMap::new(),
            members: BTreeSet::new(),
            joining: BTreeSet::new(),
        }
    }

    pub(crate) fn peer(&self, id: MemberId) -> Option<&Arc<Link>> {
        self.peers.get(&id)
    }

    pub(crate) fn peer_or_remote(&self, id: MemberId) -> Option<&Arc<Link>> {
        self.peers.get(&id).or_else(|| self.remotes.get(&id))
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.peers.values()
    }

    /// The members that we know. With peers we are one of them; without we have yet to join.
    pub(crate) const fn members(&self) -> &BTreeSet<MemberId> {
        &self.members
    }

    /// Who may talk and is no member yet.
    pub(crate) const fn joining(&self) -> &BTreeSet<MemberId> {
        &self.joining
    }

    pub(crate) fn has_room_for_peer(&self, id: MemberId) -> bool {
        id != self.me && id.0 != 0 && !self.peers.contains_key(&id)
    }

    pub(crate) fn has_room_for_remote(&self, id: MemberId) -> bool {
        let is_new = self.has_room_for_peer(id) && !self.remotes.contains_key(&id);
        is_new && self.remotes.len() < REMOTES_MAX
    }

    /// Adds a peer, and gives back what it was as a remote.
    pub(crate) fn insert_peer(&mut self, link: Arc<Link>) -> Option<Arc<Link>> {
        let was_remote = self.remotes.remove(&link.id);
        self.peers.insert(link.id, link);
        self.refresh();
        was_remote
    }

    pub(crate) fn insert_remote(&mut self, link: Arc<Link>) {
        self.remotes.insert(link.id, link);
        self.refresh();
    }

    pub(crate) fn remove_peer(&mut self, id: MemberId) -> Option<Arc<Link>> {
        let removed = self.peers.remove(&id);
        self.refresh();
        removed
    }

    pub(crate) fn take_peers(&mut self) -> impl Iterator<Item = Arc<Link>> + use<> {
        let taken = std::mem::take(&mut self.peers);
        self.refresh();
        taken.into_values()
    }

    pub(crate) fn take_all(&mut self) -> Vec<Arc<Link>> {
        let remotes = std::mem::take(&mut self.remotes);
        remotes.into_values().chain(self.take_peers()).collect()
    }

    fn refresh(&mut self) {
        self.members = self.peers.keys().copied().collect();
        if !self.members.is_empty() {
            self.members.insert(self.me);
        }
        self.joining = self.remotes.keys().copied().collect();
    }
}
