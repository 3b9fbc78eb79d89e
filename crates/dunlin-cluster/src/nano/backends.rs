//! The Go nodes whose services are called from here: each a peer as any other one, whose frames go out as unary calls.
//!
//! What a Go node says back names a session or a call, and not itself: the numbers of calls to each node begin with a number of that node, and of
//! sessions is kept which have been where. A Go node calls others in the name of a session, so when one ends all are told.
//!
//! Invariants: what comes back for a call goes to whoever made it, whichever node brings it; of a session that ended while a node was not reached
//! the node is told when it is.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dunlin_registry::nodes::NodeRecord;
use tokio::time::sleep;
use tonic::Status;

use super::Shared;
use super::calls::{Calls, CallsOver, Side};
use super::convert::{self, Job};
use super::messages::{PushMessage, ResponseMessage};
use super::wire::Wire;
use crate::core::Backoff;
use crate::frame::{Answer, Close, Ended, Frame, Said};
use crate::limits::NANO_ANSWER_TIMEOUT_MS;
use crate::link::{Outgoing, Peer, chain, tell_alive};

/// Bits of a call's number that count the calls of one node.
const CALL_BITS: u32 = 40;

/// Bits of a call's number that name the node, above those.
const SLOT_BITS: u32 = u64::BITS - CALL_BITS;

/// From these is the number of the session of a node: numbers with a sign in Go are positive, and ids of sessions here are less by chance.
const NODE_SESSIONS: std::ops::Range<u64> = 1 << 62..1 << 63;

/// How often a connection looks whether its node is in the registry still.
const LOOK: Duration = Duration::from_secs(1);

/// The Go nodes that are called from here.
#[derive(Debug)]
pub(crate) struct Backends {
    shared: Arc<Shared>,
    /// The session of calls that this node makes by itself. No other node has the same.
    node_session: u64,
    by_slot: Mutex<Slots>,
}

#[derive(Debug)]
struct Slots {
    last: u64,
    backends: BTreeMap<u64, Arc<Backend>>,
}

#[derive(Debug)]
struct Backend {
    slot: u64,
    peer: Arc<Peer>,
    known: Mutex<Known>,
}

/// Sessions of ours.
#[derive(Debug, Default)]
struct Known {
    /// Those that have called the node.
    sessions: HashSet<u64>,
    /// Those that the host says are still there, as long as it is saying so.
    alive: HashSet<u64>,
}

impl Backends {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        // Numbers of a life before come never again: what is answered late is nobody else's answer.
        let slots = Slots { last: fastrand::u64(..1 << (SLOT_BITS - 1)), backends: BTreeMap::new() };
        Arc::new(Self { shared, node_session: fastrand::u64(NODE_SESSIONS), by_slot: Mutex::new(slots) })
    }

    fn by_slot(&self) -> MutexGuard<'_, Slots> {
        self.by_slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another Go node that has services, which is called from now on until its peer is gone.
    pub(crate) fn add(self: &Arc<Self>, record: &NodeRecord) -> Arc<Peer> {
        let backend = {
            let mut slots = self.by_slot();
            slots.last = (slots.last + 1) % (1 << SLOT_BITS);
            let slot = slots.last;
            let first = (slot << CALL_BITS) | fastrand::u64(1..1 << (CALL_BITS - 1));
            let peer = Arc::new(Peer::with_calls_after(record.clone(), first));
            let backend = Arc::new(Backend { slot, peer, known: Mutex::default() });
            slots.backends.insert(slot, backend.clone());
            backend
        };
        let peer = backend.peer.clone();
        self.shared.tasks.spawn(keep(self.clone(), backend));
        peer
    }

    /// A node answers a call. Whether somebody has made it.
    pub(crate) fn handle_response(&self, response: ResponseMessage) -> bool {
        let backend = self.by_slot().backends.get(&(response.id >> CALL_BITS)).cloned();
        let Some(backend) = backend else { return false };
        backend.peer.handle_answer(Answer { id: response.id, outcome: Some(convert::reply(response.data)) });
        true
    }

    /// A node pushes to a session of ours. Whether it has been at some node.
    pub(crate) fn handle_push(&self, push: PushMessage) -> bool {
        let session = push.session_id.cast_unsigned();
        self.handle_said(session, convert::pushed(push))
    }

    /// A node ends a session of ours. Whether it has been at some node.
    pub(crate) fn handle_close(&self, session_id: i64) -> bool {
        let session = session_id.cast_unsigned();
        self.handle_said(session, Close { session, ..Close::default() })
    }

    fn handle_said(&self, session: u64, said: impl Into<Frame>) -> bool {
        let backends: Vec<Arc<Backend>> = self.by_slot().backends.values().cloned().collect();
        let mut knowing = backends.into_iter().filter(|backend| backend.known().sessions.contains(&session));
        let Some(backend) = knowing.next() else { return false };
        self.shared.dialer.host.handle_peer_frame(&backend.peer, said.into());
        true
    }

    /// A session that was at one node has ended: others may have heard of it from that one.
    fn tell_others_ended(&self, slot: u64, session: u64) {
        for backend in self.by_slot().backends.values().filter(|backend| backend.slot != slot) {
            // One that is not reached may never have heard of it.
            backend.peer.send(convert::ended(session)).ok();
        }
    }
}

impl Backend {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Some sessions that are still there. Once these are all, those that are not.
    fn handle_alive(&mut self, sessions: Vec<u64>, is_last: bool) -> Vec<u64> {
        self.alive.extend(sessions);
        if !is_last {
            return Vec::new();
        }
        let alive = std::mem::take(&mut self.alive);
        let ended: Vec<u64> = self.sessions.difference(&alive).copied().collect();
        self.sessions.retain(|session| alive.contains(session));
        ended
    }
}

/// One end of the connection to a backend.
struct BackendSide<'a>(&'a Backends, &'a Backend);

impl Side for BackendSide<'_> {
    fn handle_frame(&self, frame: Frame, jobs: &mut Vec<Job>) {
        let Self(backends, backend) = self;
        match frame.said {
            Some(Said::Call(call)) => {
                if call.session != 0 {
                    backend.known().sessions.insert(call.session);
                }
                jobs.push(convert::forward((&backends.shared.addr, backends.node_session), call));
            }
            Some(Said::Ended(Ended { session, .. })) => {
                let was_known = backend.known().sessions.remove(&session);
                jobs.push(Job::ended(session));
                if was_known {
                    backends.tell_others_ended(backend.slot, session);
                }
            }
            Some(Said::Alive(alive)) => {
                let ended = backend.known().handle_alive(alive.sessions, alive.is_last);
                jobs.extend(ended.into_iter().map(Job::ended));
            }
            // A Go node shares nothing of a session.
            _ => {}
        }
    }

    fn handle_taken(&self, call: u64) {
        let outcome = Some(convert::reply(Bytes::new()));
        self.1.peer.handle_answer(Answer { id: call, outcome });
    }

    fn handle_refused(&self, id: u64, status: &Status) {
        let peer = &self.1.peer;
        tracing::debug!(node = peer.record().name, %status, "a node of nano does not take a call");
        if id != 0 {
            peer.handle_answer(Answer { id, outcome: Some(convert::refusal(status)) });
        }
    }
}

/// Keeps a connection to a backend, until it is gone from the registry or this node stops.
async fn keep(backends: Arc<Backends>, backend: Arc<Backend>) {
    let (dialer, peer) = (&backends.shared.dialer, &backend.peer);
    let mut backoff = Backoff::default();
    let keeping = async {
        while !peer.is_gone() {
            if live(&backends, &backend).await {
                backoff = Backoff::default();
            }
            sleep(backoff.pause(fastrand::f64())).await;
        }
    };
    dialer.stop.run_until_cancelled(keeping).await;
    peer.end();
    backends.by_slot().backends.remove(&backend.slot);
    dialer.host.leave(peer);
}

/// One connection, from its beginning to its end. Whether it was there.
async fn live(backends: &Backends, backend: &Backend) -> bool {
    let (shared, peer) = (&backends.shared, &backend.peer);
    let record = peer.record();
    let connected = match convert::addr(&record) {
        Some(addr) => Wire::connect(shared, addr).await,
        None => return false,
    };
    let wire = match connected {
        Ok(wire) => wire,
        Err(error) => {
            tracing::debug!(node = record.name, error = chain(&error), "a node of nano is not reached");
            return false;
        }
    };
    let outgoing = Arc::new(Outgoing::default());
    let mut calls = Calls::new(outgoing.clone().batches());
    peer.begin(outgoing.clone());
    tell_alive(&shared.dialer, peer, &outgoing);
    peer.set_up();
    tracing::info!(node = record.name, "connected with a node of nano");
    let side = BackendSide(backends, backend);
    let over = tokio::select! {

        over = calls.run(&wire, &side, shared.dialer.timing) => over,
        () = lingering(peer) => CallsOver::Finished,
        () = outgoing.overflowed() => CallsOver::TooSlow,
    };
    peer.end();
    tracing::warn!(node = record.name, why = %over, "the connection to a node of nano has ended");
    true
}

/// Until whatever was called when a node left has been answered.
async fn lingering(peer: &Peer) {
    while !peer.is_gone() {
        sleep(LOOK).await;
    }
    sleep(Duration::from_millis(NANO_ANSWER_TIMEOUT_MS.into())).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_ended_unheard_are_known_once_all_that_live_were_named() {
        let mut known = Known { sessions: (1..=5).collect(), alive: HashSet::new() };
        assert!(known.handle_alive(vec![1, 9], false).is_empty());
        let mut ended = known.handle_alive(vec![3], true);
        ended.sort_unstable();
        assert_eq!(ended, [2, 4, 5]);
        assert_eq!(known.sessions, HashSet::from([1, 3]));
        assert_eq!(known.handle_alive(vec![3], true), [1], "nothing is left of the time before");
    }
}
