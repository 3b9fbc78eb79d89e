//! Other nodes' clients here: their sessions, and what is said to their nodes.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dunlin_cluster::frame::{self, Alive, Answer, Client, Frame, Said};
use dunlin_cluster::{Accepted, LinkHandler, SendError};

use super::convert;
use super::visitor::{Runner, Visitor};
use crate::app::{Shared, contain};
use crate::error::Error;
use crate::service::{Router, Starters};
use crate::session::{
    CloseReason, Home, Outgoing, PushError, Pushed, Session, SessionId, SessionSeed, Transport,
};

/// A node whose clients' calls are answered here.
pub(crate) struct GateLink {
    node: u64,
    app: Arc<Shared>,
    /// The link of now, or the last one.
    link: Mutex<Arc<Accepted>>,
    visitors: Mutex<HashMap<u64, Visitor>>,
    /// Calls that run or wait.
    running: AtomicUsize,
}

impl GateLink {
    pub(super) fn new(link: &Arc<Accepted>, app: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            node: link.node(),
            app,
            link: Mutex::new(link.clone()),
            visitors: Mutex::default(),
            running: AtomicUsize::new(0),
        })
    }

    pub(crate) fn node(&self) -> u64 {
        self.node
    }

    pub(crate) fn app(&self) -> &Arc<Shared> {
        &self.app
    }

    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    pub(super) fn visitors(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<u64, Visitor>> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something to the node.
    pub(crate) fn send(&self, frame: impl Into<Frame>) -> Result<(), SendError> {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner).clone();
        link.send(frame)
    }

    /// Sends a push to one session.
    pub(crate) fn push(&self, session: &Session, outgoing: &Outgoing<'_>) -> Result<Pushed, PushError> {
        match outgoing.frame_for(session, vec![session.id().get()]) {
            Some(push) => self.send(push).map(|()| Pushed::Queued).map_err(refused),
            None => Ok(Pushed::Queued),
        }
    }

    /// Sends a push to sessions of the node, its payload once.
    pub(crate) fn push_to_all(&self, outgoing: &Outgoing<'_>, sessions: Vec<u64>) -> Result<(), PushError> {
        self.send(outgoing.frame_to_all(sessions)).map_err(refused)
    }

    /// Asks for the end of a session.
    pub(crate) fn close(&self, session: &Session, reason: &CloseReason) {
        // If it is not reached, the session ends with it.
        self.send(convert::close(session.id().get(), reason)).ok();
    }

    /// Says what came of a call, if that is wanted.
    pub(super) fn answer(&self, id: u64, result: crate::error::Result<crate::service::Reply>) {
        if id == 0 {
            return;
        }
        if let Err(error) = &result {
            self.app.stats.errors.add(1);
            tracing::debug!(id, code = error.code(), message = error.message(), "a forwarded call failed");
        }
        let outcome = Some(convert::outcome(result));
        if self.send(Answer { id, outcome }) == Err(SendError::Overloaded) {
            // A word that is short enough may still go; else the node's own time for the call ends it.
            let error = convert::outcome(Err(Error::overloaded("too much waits for the node of the client")));
            self.send(Answer { id, outcome: Some(error) }).ok();
        }
    }

    pub(super) fn begin_call(&self) {
        self.running.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn end_call(&self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
    }

    /// The session of a call. One that is not known yet is made.
    pub(super) fn session(self: &Arc<Self>, id: u64, client: Option<&Client>) -> Session {
        if id == 0 {
            return super::calls::nobody(self.app.clone());
        }
        let mut visitors = self.lock();
        let (session, is_new) = match visitors.get(&id) {
            Some(visitor) => (visitor.session.clone(), false),
            None => {
                let seed = seed(SessionId::of(id), Home::Gate(self.clone()), client);
                let session = Session::new(seed);
                visitors.insert(id, Visitor::new(session.clone()));
                (session, true)
            }
        };
        drop(visitors);
        if let Some(client) = client {
            session.refresh(client);
        } else if is_new {
            tracing::warn!(session = id, "a session came without a word of who it is");
        }
        session
    }

    /// A session's end, with its callbacks, once.
    fn end(&self, id: u64, reason: &CloseReason) {
        let visitor = self.lock().remove(&id);
        if let Some(visitor) = visitor {
            let waiting = visitor.waiting();
            visitor.session.finish(reason, || {
                for hook in &self.app.hooks.on_closed {
                    contain("on_closed hook", || hook(&visitor.session, reason));
                }
            });
            for _ in 0..waiting {
                self.end_call();
            }
        }
    }

    /// The end of all sessions of the node.
    pub(super) fn end_all(&self, reason: &CloseReason) {
        let ids: Vec<u64> = self.lock().keys().copied().collect();
        for id in ids {
            self.end(id, reason);
        }
    }
}

fn refused(error: SendError) -> PushError {
    match error {
        SendError::Overloaded => PushError::QueueFull { disconnecting: false },
        _ => PushError::Unreachable,
    }
}

fn seed(id: SessionId, home: Home, client: Option<&Client>) -> SessionSeed {
    let is_websocket = client.is_some_and(|client| client.is_websocket);
    SessionSeed {
        id,
        home,
        remote_addr: client.and_then(|client| client.remote_addr.parse().ok()),
        transport: if is_websocket { Transport::WebSocket } else { Transport::Tcp },
        // What the client can take is its node's business.
        abilities: dunlin_wire::ClientAbilities::default(),
        is_pitaya: false,
    }
}

/// Takes the frames of one link.
pub(super) struct Handler {
    gate: Arc<GateLink>,
    runner: Runner,
    starters: Starters,
    /// Sessions that were here when the link began and that the node has not spoken of yet.
    unconfirmed: HashSet<u64>,
}

impl Handler {
    pub(super) fn new(gate: Arc<GateLink>, link: Arc<Accepted>, router: &Router) -> Self {
        *gate.link.lock().unwrap_or_else(PoisonError::into_inner) = link;
        let unconfirmed = gate.lock().keys().copied().collect();
        let router = Arc::new(router.for_shard());
        let starters = router.starters();
        Self { runner: Runner { gate: gate.clone(), router }, gate, starters, unconfirmed }
    }

    fn handle_call(&mut self, call: frame::Call) {
        self.gate.app.stats.forwarded_in.add(1);
        self.gate.app.stats.forwarded_in_of_clients.add(u64::from(call.session != 0));
        self.unconfirmed.remove(&call.session);
        self.runner.handle_call(call, &mut self.starters);
    }

    fn handle_alive(&mut self, alive: &Alive) {
        for session in &alive.sessions {
            self.unconfirmed.remove(session);
        }
        if alive.is_last {
            for session in std::mem::take(&mut self.unconfirmed) {
                self.gate.end(session, &CloseReason::ByClient);
            }
        }
    }
}

impl LinkHandler for Handler {
    fn handle_frame(&mut self, frame: Frame) {
        match frame.said {
            Some(Said::Call(call)) => self.handle_call(call),
            Some(Said::Ended(ended)) => {
                let session = ended.session;
                self.gate.end(session, &convert::reason(ended));
            }
            Some(Said::Altered(altered)) => {
                let session = self.gate.lock().get(&altered.session).map(|visitor| visitor.session.clone());
                if let Some(session) = session {
                    session.apply_altered(&altered, None);
                }
            }
            Some(Said::Alive(alive)) => self.handle_alive(&alive),
            _ => tracing::debug!(node = self.gate.node, "a frame that is not for a backend is passed over"),
        }
    }
}
