//! What of a session other nodes know: who the client is, what it carries with it, and where it has been.
//!
//! The node that the client is connected to has the last word: others tell it what they changed, and it tells everybody who knows the
//! session. A node that missed something, since its link broke, is told all of it again with the next call.

use std::sync::Arc;

use bytes::Bytes;
use dunlin_cluster::Peer;
use dunlin_cluster::frame::{Altered, Attributes, Client};
use dunlin_cluster::limits::SHARED_ATTRIBUTES_LEN_MAX;
use prost::Message as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::handle::{Home, Session, SessionClosed, Transport};
use crate::cluster::Visit;

/// Why a session does not carry a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The session is over.
    #[error("the session is closed")]
    Closed,
    /// The value cannot be written as JSON.
    #[error("the value of `{name}` cannot be written as JSON")]
    Serialize {
        /// The value's name.
        name: String,
        /// Why.
        source: serde_json::Error,
    },
    /// With it the session would carry too much.
    #[error(
        "with `{name}` the session would carry {len} bytes, over the limit of {SHARED_ATTRIBUTES_LEN_MAX}"
    )]
    TooLong {
        /// The value's name.
        name: String,
        /// What it would carry.
        len: usize,
    },
}

impl Session {
    /// Lets the session carry a value from node to node, under a name, as JSON. The one of that name before is replaced.
    ///
    /// Handlers on all nodes that answer calls of the session see it, those of calls that are made later than this one in any case.
    ///
    /// # Errors
    ///
    /// [`ShareError`]; the session carries what it did.
    pub fn share<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), ShareError> {
        let value = serde_json::to_vec(value)
            .map_err(|source| ShareError::Serialize { name: name.to_owned(), source })?;
        {
            let mut guard = self.state();
            let state = guard.get_or_insert_default();
            if state.is_forgotten {
                return Err(ShareError::Closed);
            }
            let others = state.shared.iter().filter(|(other, _)| *other != name);
            let len: usize = others.map(|(name, value)| value_len(name, value)).sum();
            let len = len + value_len(name, &value);
            if len > SHARED_ATTRIBUTES_LEN_MAX {
                return Err(ShareError::TooLong { name: name.to_owned(), len });
            }
            state.shared.insert(name.to_owned(), value.into());
        }
        self.tell_shared();
        Ok(())
    }

    /// The value that the session carries under this name; `None` when there is none, or it is none of a `T`.
    #[must_use]
    pub fn shared<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let value = self.state().as_ref()?.shared.get(name)?.clone();
        serde_json::from_slice(&value).ok()
    }

    /// Lets the session carry the value of this name no more. Whether there was one.
    pub fn unshare(&self, name: &str) -> bool {
        let was_there = self.state().as_mut().is_some_and(|state| state.shared.remove(name).is_some());
        if was_there {
            self.tell_shared();
        }
        was_there
    }

    fn tell_shared(&self) {
        self.tell_altered(Altered { attributes: Some(self.encoded_shared()), ..Altered::default() });
    }

    fn encoded_shared(&self) -> Bytes {
        let values = self.state().as_ref().map(|state| state.shared.clone()).unwrap_or_default();
        Attributes { values }.encode_to_vec().into()
    }

    /// Tells other nodes what was changed here.
    pub(crate) fn tell_altered(&self, altered: Altered) {
        let altered = Altered { session: self.id().get(), ..altered };
        match self.home() {
            Home::Shard { .. } => self.relay_altered(&altered, None),
            // If it is not heard, the gate is told again when it says what it knows.
            Home::Gate(gate) => drop(gate.send(altered)),
            Home::Node(_) => {}
        }
    }

    /// Tells those who know the session, but for the one who said it.
    fn relay_altered(&self, altered: &Altered, from: Option<u64>) {
        let peers: Vec<Arc<Peer>> = match self.state().as_ref().and_then(|state| state.visits.as_ref()) {
            Some(visits) => visits.peers().cloned().collect(),
            None => return,
        };
        for peer in peers.iter().filter(|peer| Some(peer.id()) != from) {
            // Whoever misses it is told all with the session's next call.
            peer.send(altered.clone()).ok();
        }
    }

    /// Takes over what another node has changed, and passes it on to others who know the session.
    pub(crate) fn apply_altered(&self, altered: &Altered, from: Option<u64>) {
        if let Some(uid) = &altered.uid {
            self.set_uid(Some(&**uid).filter(|uid| !uid.is_empty()));
        }
        if let Some(attributes) = &altered.attributes {
            self.set_shared(attributes);
        }
        if matches!(self.home(), Home::Shard { .. }) {
            self.relay_altered(altered, from);
        }
    }

    /// Binds the session as another node says.
    fn set_uid(&self, uid: Option<&str>) {
        let uid: Option<Arc<str>> = uid.map(Arc::from);
        let mut guard = self.state();
        let state = guard.get_or_insert_default();
        if state.is_over || state.uid == uid {
            return;
        }
        let before = std::mem::replace(&mut state.uid, uid.clone());
        let sessions = &self.app().sessions;
        if let Some(before) = before {
            sessions.remove(&before, self.id());
        }
        if let Some(uid) = uid {
            sessions.insert(uid, self.clone());
        }
    }

    fn set_shared(&self, encoded: &Bytes) {
        let values = match Attributes::read(encoded) {
            Ok(attributes) => attributes.values,
            Err(error) => {
                tracing::warn!(session = %self.id(), %error, "what a session carries cannot be read");
                return;
            }
        };
        let mut guard = self.state();
        let state = guard.get_or_insert_default();
        if !state.is_forgotten {
            state.shared = values;
        }
    }

    /// Takes over what the node of the client knows. What it has not heard of yet it is told again.
    pub(crate) fn refresh(&self, client: &Client) {
        if let (Some(reason), Home::Gate(gate)) = (self.closing(), self.home()) {
            gate.close(self, &reason);
        }
        self.set_shared(&client.attributes);
        match (&client.uid, self.uid()) {
            (Some(uid), _) => self.set_uid(Some(uid)),
            (None, Some(uid)) => {
                self.tell_altered(Altered { uid: Some(uid.to_string()), ..Altered::default() });
            }
            (None, None) => {}
        }
    }

    /// The node that answers for a service.
    pub(crate) fn bound(&self, service: &str) -> Option<u64> {
        self.state().as_ref()?.visits.as_ref()?.bound(service)
    }

    /// From now on this node answers for a service.
    pub(crate) fn bind_service(&self, service: &str, node: u64) {
        let mut guard = self.state();
        let state = guard.get_or_insert_default();
        if !state.is_over {
            state.visits.get_or_insert_default().bind(service, node);
        }
    }

    /// A node is gone for good.
    pub(crate) fn forget_node(&self, node: u64) {
        if let Some(visits) = self.state().as_mut().and_then(|state| state.visits.as_mut()) {
            visits.forget(node);
        }
    }

    /// Sends something to a node: `send` is given whether this is the session's first visit there, and what the node has to know of the
    /// session, if it may not know it. The session cannot end meanwhile, so its end is told after it.
    pub(crate) fn visit<R>(
        &self,
        peer: &Arc<Peer>,
        send: impl FnOnce(bool, Option<Client>) -> R,
    ) -> Result<R, SessionClosed> {
        let mut guard = self.state();
        let state = guard.get_or_insert_default();
        if state.is_over {
            return Err(SessionClosed);
        }
        let visit = state.visits.get_or_insert_default().visit(peer);
        let client = (visit != Visit::Usual).then(|| Client {
            remote_addr: self.remote_addr().map(|addr| addr.to_string()).unwrap_or_default(),
            is_websocket: self.transport() == Transport::WebSocket,
            uid: state.uid.as_ref().map(ToString::to_string),
            attributes: Attributes { values: state.shared.clone() }.encode_to_vec().into(),
        });
        Ok(send(visit == Visit::First, client))
    }
}

fn value_len(name: &str, value: &[u8]) -> usize {
    // With the lengths and tags that they are encoded with.
    name.len() + value.len() + 16
}
