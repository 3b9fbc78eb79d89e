//! What all parts of a running application share; fixed when it starts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use dunlin_wire::{
    CAP_AWAY, CAP_ERROR, CAP_UTF8, CAP_ZLIB, ClientAbilities, ClientSys, HandshakeResponse, RouteDictionary,
    ServerSys,
};
use serde_json::Value;

use super::admission::Validate;
use super::config::Gate;
use super::page::Pages;
use super::{GateStats, Hooks, ShardStats, Stats};
use crate::cluster::ClusterHost;
use crate::edge::Inbox;
use crate::error::{ClientForm, Error, ErrorEncoder};
use crate::group::Groups;
use crate::serializer::SerializerKind;
use crate::service::PushFilters;
use crate::session::{Session, SessionIds, Sessions};

/// One application on this node.
pub(crate) struct Shared {
    pub(crate) gate: Gate,
    pub(crate) serializer: SerializerKind,
    pub(crate) errors: ErrorEncoder,
    pub(crate) push_filters: PushFilters,
    pub(crate) dictionary: Option<RouteDictionary>,
    pub(crate) validator: Option<Arc<dyn Validate>>,
    pub(crate) hooks: Hooks,
    pub(crate) pages: Pages,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) groups: Groups,
    pub(crate) session_ids: SessionIds,
    /// Set before clients are let in.
    pub(crate) cluster: OnceLock<Arc<ClusterHost>>,
    pub(crate) stats: Stats,
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    pub(crate) shard_stats: Vec<Arc<ShardStats>>,
}

/// A payload on its way to one client.
pub(crate) struct Body<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    pub(crate) is_compressed: bool,
}

impl Shared {
    /// The dictionary code of a route.
    pub(crate) fn code_of(&self, route: &str) -> Option<u16> {
        self.dictionary.as_ref().and_then(|dictionary| dictionary.code(route))
    }

    /// A payload in the form the client can read, compressed if that is worth it.
    #[inline]
    pub(crate) fn body_for<'a>(&self, abilities: ClientAbilities, body: &'a [u8], is_text: bool) -> Body<'a> {
        if is_text || self.gate.compress_from.is_some() {
            return self.changed_body_for(abilities, body, is_text);
        }
        Body { bytes: Cow::Borrowed(body), is_compressed: false }
    }

    fn changed_body_for<'a>(&self, abilities: ClientAbilities, body: &'a [u8], is_text: bool) -> Body<'a> {
        let bytes = readable(abilities, body, is_text);
        let is_worth_it = self.gate.compress_from.is_some_and(|from| bytes.len() >= from);
        if is_worth_it
            && abilities.takes_compressed_body()
            && let Some(deflated) = dunlin_wire::deflate_if_smaller(&bytes)
        {
            return Body { bytes: Cow::Owned(deflated), is_compressed: true };
        }
        Body { bytes, is_compressed: false }
    }

    /// The body of an error in the form the client knows.
    pub(crate) fn error_body(&self, error: &Error, session: &Session) -> Vec<u8> {
        let form = if session.is_pitaya() { ClientForm::Pitaya } else { ClientForm::Standard };
        let mut body = Vec::new();
        let is_text = self.errors.encode(error, form, &self.serializer, &mut body);
        match readable(session.abilities(), &body, is_text) {
            Cow::Owned(escaped) => escaped,
            Cow::Borrowed(_) => body,
        }
    }

    /// The extensions of the common protocol that a client asked for and this server has.
    pub(crate) fn granted_caps(&self, sys: &ClientSys) -> Vec<String> {
        let known = [CAP_AWAY, CAP_ERROR, CAP_UTF8, CAP_ZLIB];
        sys.caps.iter().filter(|cap| known.contains(&cap.as_str())).cloned().collect()
    }

    /// The handshake's answer to a client that is let in.
    pub(crate) fn welcome(
        &self,
        session: &Session,
        caps: Vec<String>,
        user: Option<Value>,
    ) -> HandshakeResponse {
        let is_pitaya = session.is_pitaya();
        let dict = match &self.dictionary {
            // pitaya's clients expect the field and must never see a compressed route.
            _ if is_pitaya => Some(BTreeMap::new()),
            Some(dictionary) if session.abilities().takes_dictionary() => {
                Some(dictionary.iter().map(|(route, code)| (route.to_owned(), code)).collect())
            }
            _ => None,
        };
        let sys = ServerSys {
            heartbeat: Some(self.gate.heartbeat_secs()),
            servertime: SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs()),
            dict,
            serializer: (is_pitaya || !caps.is_empty()).then(|| self.serializer.name().to_owned()),
            caps,
            ..ServerSys::default()
        };
        HandshakeResponse { code: HandshakeResponse::CODE_OK, sys: Some(sys), user, message: None }
    }

    /// What happened so far. `shed` is what the accept gate turned away.
    pub(crate) fn snapshot(&self, shed: u64) -> GateStats {
        let mut snapshot = GateStats::of(&self.stats, self.shard_stats.iter().map(|stats| &**stats));
        snapshot.connections_shed = shed;
        if let Some(cluster) = self.cluster.get() {
            snapshot.travellers = cluster.travellers() as u64;
            snapshot.visitors = cluster.visitors() as u64;
        }
        snapshot
    }
}

/// A payload in characters the client can read. Only text is escaped: other bodies may hold any bytes.
fn readable(abilities: ClientAbilities, body: &[u8], is_text: bool) -> Cow<'_, [u8]> {
    if is_text && abilities.needs_ascii_text() {
        dunlin_wire::escape_non_bmp(body)
    } else {
        Cow::Borrowed(body)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("gate", &self.gate).field("stats", &self.stats).finish_non_exhaustive()
    }
}
