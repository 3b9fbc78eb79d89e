//! Our clients' calls to services of other nodes, and what those push to our clients.

use std::sync::Arc;

use dunlin_cluster::core::{Candidate, Policy, choose};
use dunlin_cluster::frame::{self, Close, Frame, Push, Said};
use dunlin_cluster::{Answering, Lost, Peer, SendError};

use super::{ClusterHost, Dispatch, Visits, convert, service_name};
use crate::error::{Error, Result};
use crate::group::deliver;
use crate::service::codegen::{RouteFn, route_fn};
use crate::service::{Call, CallKind, Reply, carried};
use crate::session::{CloseReason, Outgoing, SessionId};

/// The function of all routes that are forwarded.
pub(super) fn forward_fn(host: &Arc<ClusterHost>) -> Arc<dyn RouteFn> {
    let host = Arc::downgrade(host);
    route_fn(move |call| {
        let host = host.upgrade();
        async move {
            match host {
                Some(host) => host.forward(call).await,
                None => Err(Error::unavailable("the node is stopping")),
            }
        }
    })
}

/// The function of a route of this node's whose service is dispatched by a key: it answers here what the key leads here.
pub(super) fn dispatch_fn(host: &Arc<ClusterHost>, here: Arc<dyn RouteFn>) -> Arc<dyn RouteFn> {
    let host = Arc::downgrade(host);
    route_fn(move |call| {
        let (host, here) = (host.upgrade(), here.clone());
        async move {
            match host {
                Some(host) if !host.is_here(&call) => host.forward(call).await,
                _ => here.call(call).await,
            }
        }
    })
}

impl ClusterHost {
    /// Whether the key of a call, to a service that is here as well, leads here.
    fn is_here(&self, call: &Call) -> bool {
        let Some(cluster) = self.cluster() else { return true };
        let service = service_name(call.route());
        let Some(key) = self.key(service, call) else { return true };
        let peers = cluster.peers_with(service);
        let takes = |peer: &&Arc<Peer>| peer.takes_new();
        let others = peers.iter().filter(takes).map(|peer| peer.candidate());
        let here = Candidate { node: self.id(), in_flight: 0 };
        let candidates: Vec<Candidate> = others.chain([here]).collect();
        choose(Policy::Hash, &candidates, None, Some(&key), 0) == Some(self.id())
    }

    /// What a hash is of, of a service that is dispatched so.
    fn key(&self, service: &str, call: &Call) -> Option<Vec<u8>> {
        match self.dispatch.get(service)? {
            Dispatch::Key(key) => Some(key(call)),
            Dispatch::Policy(Policy::Hash) => {
                let session = call.session();
                let uid = session.uid().map(|uid| uid.as_bytes().to_vec());
                Some(uid.unwrap_or_else(|| session.id().get().to_be_bytes().to_vec()))
            }
            Dispatch::Policy(_) | Dispatch::Choice(_) => None,
        }
    }

    /// Forwards a call. It is on its way when this was polled once, so calls of a session arrive in their order.
    async fn forward(self: Arc<Self>, call: Call) -> Result<Reply> {
        call.session().app().stats.forwarded_out.add(1);
        // Nodes that turned out not to be reached, and at most one that was lost.
        let (mut avoided, mut is_retry) = (Vec::new(), false);
        loop {
            let peer = self.choose(&call, &avoided)?;
            let answering = match self.send(&call, &peer)? {
                Ok(answering) => answering,
                // Its link has ended this very moment, and nothing was sent.
                Err(SendError::Unreachable) => {
                    avoided.push(peer.id());
                    continue;
                }
                Err(_) => return Err(Error::overloaded("too much waits for the node")),
            };
            match answering.await {
                Ok(outcome) => return convert::result(outcome),
                Err(Lost) if !is_retry && is_idempotent(&peer, call.route()) => {
                    is_retry = true;
                    avoided.push(peer.id());
                }
                Err(Lost) => return Err(Error::unavailable("the node was lost before it answered")),
            }
        }
    }

    /// Sends a call, with all that the node does not know of its session.
    fn send(&self, call: &Call, peer: &Arc<Peer>) -> Result<Result<Answering, SendError>> {
        let session = call.session();
        let timeout = session.app().gate.request_timeout;
        let sent = session.visit(peer, |is_first, client| {
            if is_first {
                self.travellers.add(session, peer.id());
            }
            peer.call(frame::Call {
                id: 0,
                session: session.id().get(),
                route: call.route().to_owned(),
                body: call.body().clone(),
                timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
                client,
                is_notify: call.kind() == CallKind::Notify,
                trace: carried(),
            })
        });
        sent.map_err(|_| Error::new(Error::CLOSED, "the session is over"))
    }

    /// The node that a call goes to.
    fn choose(&self, call: &Call, avoided: &[u64]) -> Result<Arc<Peer>> {
        let service = service_name(call.route());
        let cluster = self.cluster().ok_or_else(|| Error::unavailable("the node is starting"))?;
        let peers = cluster.peers_with(service);
        if peers.is_empty() {
            return Err(Error::not_found("nobody serves this route"));
        }
        let session = call.session();
        let takes = |peer: &&Arc<Peer>| !avoided.contains(&peer.id()) && peer.takes_new();
        let find = |node: u64| peers.iter().find(|peer| peer.id() == node).filter(takes);
        let unreached = || Error::unavailable("no node that serves this route is reached");
        let policy = match self.dispatch.get(service) {
            Some(Dispatch::Choice(choice)) => {
                let records: Vec<_> = peers.iter().filter(takes).map(|peer| peer.record()).collect();
                return choice(call, &records).and_then(find).cloned().ok_or_else(unreached);
            }
            Some(Dispatch::Key(_)) => Policy::Hash,
            Some(Dispatch::Policy(policy)) => *policy,
            None => Policy::default(),
        };
        let bound = session.bound(service);
        // What nearly always happens goes the short way.
        if policy == Policy::Sticky
            && let Some(peer) = bound.and_then(find)
        {
            return Ok(peer.clone());
        }
        let candidates: Vec<Candidate> = peers.iter().filter(takes).map(|peer| peer.candidate()).collect();
        let key = self.key(service, call);
        let node = choose(policy, &candidates, bound, key.as_deref(), fastrand::u64(..));
        let peer = node.and_then(find).ok_or_else(unreached)?;
        if bound != Some(peer.id()) && policy != Policy::LeastLoaded {
            session.bind_service(service, peer.id());
        }
        Ok(peer.clone())
    }

    /// A session of ours has ended: every node that knows it is told once.
    pub(crate) fn tell_ended(&self, id: SessionId, visits: &Visits, reason: &CloseReason) {
        for peer in visits.peers() {
            self.travellers.remove(id, peer.id());
            // If it is not reached, it is told who is alive when it is.
            peer.send(convert::ended(id.get(), reason)).ok();
        }
        self.travellers.end(id);
    }

    /// What a node that we dialed says besides answers.
    pub(super) fn handle_frame_of(&self, peer: &Arc<Peer>, frame: Frame) {
        match frame.said {
            Some(Said::Push(push)) => self.handle_push(&push),
            Some(Said::Close(close)) => {
                let Close { session, is_kick, reason } = close;
                if let Some(session) = self.travellers.get(session) {
                    let reason = if is_kick { CloseReason::Kicked { reason } } else { CloseReason::ByServer };
                    // One that is over already is as it should be.
                    session.end(reason).ok();
                }
            }
            Some(Said::Altered(altered)) => {
                if let Some(session) = self.travellers.get(altered.session) {
                    session.apply_altered(&altered, Some(peer.id()));
                }
            }
            _ => tracing::debug!(node = %peer.record().name, "a frame that is not for a gate is passed over"),
        }
    }

    fn handle_push(&self, push: &Push) {
        let Some(app) = self.app.upgrade() else { return };
        let sessions = self.travellers.get_all(&push.sessions);
        let missing = push.sessions.len() - sessions.len();
        // Who has ended meanwhile is sent nothing.
        let refused = match deliver(&app, &sessions, &mut Outgoing::forwarded(&app, push), |_| true) {
            Ok(delivery) => delivery.refused,
            Err(error) => {
                tracing::warn!(%error, "another node's push cannot be sent");
                sessions.len()
            }
        };
        tracing::trace!(route = %push.route, missing, refused, "pushed for another node");
    }
}

pub(super) fn is_idempotent(peer: &Peer, route: &str) -> bool {
    peer.record().idempotent_routes.iter().any(|name| name == route)
}
