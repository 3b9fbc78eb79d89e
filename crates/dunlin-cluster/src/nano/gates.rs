//! The Go gates whose clients call services of this node: for each one a link as the host knows it, made of unary calls.
//!
//! A gate says its address with every call and nothing when a client is gone. Newer gates draw numbers of sessions that no other gate has; those of
//! nano 0.5.0 count from one on, all of them, and say also of clients that never were here that they are gone: there the gate is known by the connection,
//! or by the connections that were opened together with it, as a Go node opens several at once.
//!
//! Invariants: a gate that is forgotten was accepted, and is forgotten once; answers and pushes for one gate wait for no other gate.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::Shared;
use super::calls::{Calls, CallsOver, Side};
use super::convert::Job;
use super::messages::{NotifyMessage, RequestMessage};
use super::sessions::{SessionError, SessionIds, Sessions};
use super::wire::Wire;
use crate::core::Backoff;
use crate::frame::Frame;
use crate::host::LinkHandler;
use crate::limits::{HELLO_TIMEOUT, NANO_NODES_MAX};
use crate::link::{Accepted, Batches, Outgoing};

/// Numbers of sessions below this are counted, others drawn: those begin with the time in milliseconds, and are greater.
const COUNTED_MAX: i64 = 1 << 40;

/// The connections that a Go node opens to another one at once are opened within this time.
const POOL_SPAN: Duration = Duration::from_secs(1);

/// Connections of a gate whose beginning is remembered: a few times those that it opens at once.
const OPENED_MAX: usize = 64;

/// The gates of which sessions are here.
#[derive(Debug)]
pub(crate) struct Gates {
    shared: Arc<Shared>,
    ids: Arc<SessionIds>,
    by_addr: Mutex<HashMap<String, Arc<Gate>>>,
    /// Which nodes there are.
    nodes: Mutex<Nodes>,
}

/// The ids of Go nodes' records by their addresses.
pub(crate) type Nodes = HashMap<String, BTreeSet<u64>>;

/// Who calls on a connection: the gates that it has named.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    opened_at: Instant,
    named: Arc<Mutex<Named>>,
}

#[derive(Debug, Default)]
enum Named {
    #[default]
    Nobody,
    One(String),
    /// A node that forwards for gates.
    Several,
}

struct Gate {
    addr: String,
    /// Its id here, of this time that it is known.
    node: u64,
    /// Its record's id, once there is one.
    record: Mutex<Option<u64>>,
    /// `None` once it is forgotten. Calls are taken under this lock, in the order in which they come.
    handler: Mutex<Option<Box<dyn LinkHandler>>>,
    sessions: Mutex<Sessions>,
    /// When connections were opened on which it has named itself, the last ones.
    opened: Mutex<VecDeque<Instant>>,
    outgoing: Arc<Outgoing>,
    stop: CancellationToken,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("addr", &self.addr).field("node", &self.node).finish_non_exhaustive()
    }
}

impl Caller {
    /// On a connection that is opened now.
    pub(crate) fn new() -> Self {
        Self { opened_at: Instant::now(), named: Arc::default() }
    }

    fn named(&self) -> MutexGuard<'_, Named> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A gate is named. Whether it is the first one.
    fn handle_named(&self, addr: &str) -> bool {
        let mut named = self.named();
        match &*named {
            Named::Nobody => {
                *named = Named::One(addr.to_owned());
                return true;
            }
            Named::One(before) if before != addr => *named = Named::Several,
            Named::One(_) | Named::Several => {}
        }
        false
    }
}

impl Gates {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            ids: Arc::new(SessionIds::new(fastrand::u64(..))),
            by_addr: Mutex::default(),
            nodes: Mutex::default(),
        })
    }

    fn by_addr(&self) -> MutexGuard<'_, HashMap<String, Arc<Gate>>> {
        self.by_addr.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of a gate asks something.
    pub(crate) fn handle_request(
        self: &Arc<Self>,
        caller: Option<&Caller>,
        request: RequestMessage,
    ) -> Result<(), Status> {
        let gate = self.gate(caller, &request.gate_addr)?;
        gate.handle(|sessions| sessions.handle_request(request))
    }

    /// A client of a gate says something.
    pub(crate) fn handle_notify(
        self: &Arc<Self>,
        caller: Option<&Caller>,
        notify: NotifyMessage,
    ) -> Result<(), Status> {
        let gate = self.gate(caller, &notify.gate_addr)?;
        gate.handle(|sessions| sessions.handle_notify(notify))
    }

    /// A client of some gate is gone. Those that were never here are most of them.
    pub(crate) fn handle_session_closed(&self, caller: Option<&Caller>, session: i64) {
        let gate = match caller {
            Some(caller) if session < COUNTED_MAX => self.caller(caller),
            _ => self.by_addr().values().find(|gate| gate.sessions().has(session)).cloned(),
        };
        if let Some(gate) = gate {
            gate.handle_closed(session);
        }
    }

    /// The gate that has named itself on this connection, or else on one that was opened when this was.
    fn caller(&self, caller: &Caller) -> Option<Arc<Gate>> {
        let by_addr = self.by_addr();
        match &*caller.named() {
            Named::One(addr) => by_addr.get(addr).cloned(),
            Named::Several => None,
            Named::Nobody => {
                let apart = |gate: &Arc<Gate>| Some((gate.apart(caller.opened_at)?, gate.clone()));
                let nearest = by_addr.values().filter_map(apart).min_by_key(|(apart, _)| *apart)?;
                (nearest.0 <= POOL_SPAN).then_some(nearest.1)
            }
        }
    }

    /// Which nodes there are, by their addresses: the sessions of those that were and are not have ended.
    pub(crate) fn follow(&self, nodes: &Nodes) {
        self.nodes().clone_from(nodes);
        for gate in self.by_addr().values() {
            let ids = nodes.get(&gate.addr);
            let mut record = gate.record.lock().unwrap_or_else(PoisonError::into_inner);
            match *record {
                None => *record = ids.and_then(|ids| ids.last().copied()),
                Some(id) if ids.is_some_and(|ids| ids.contains(&id)) => {}
                Some(_) => gate.stop.cancel(),
            }
        }
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gate that calls.
    fn gate(self: &Arc<Self>, caller: Option<&Caller>, addr: &str) -> Result<Arc<Gate>, Status> {
        let gate = self.gate_at(addr)?;
        if let Some(caller) = caller.filter(|caller| caller.handle_named(addr)) {
            gate.handle_opened(caller.opened_at);
        }
        Ok(gate)
    }

    fn gate_at(self: &Arc<Self>, addr: &str) -> Result<Arc<Gate>, Status> {
        let mut by_addr = self.by_addr();
        if let Some(gate) = by_addr.get(addr).filter(|gate| !gate.stop.is_cancelled()) {
            return Ok(gate.clone());
        }
        if addr.is_empty() {
            return Err(Status::invalid_argument("the gate says no address"));
        }
        if by_addr.len() >= NANO_NODES_MAX || self.shared.dialer.stop.is_cancelled() {
            return Err(Status::resource_exhausted("no more gates are taken"));
        }
        // Under the lock: whoever looks which gates are there sees this one, or this one sees what was looked at.
        let record = self.nodes().get(addr).and_then(|ids| ids.last().copied());
        let outgoing = Arc::new(Outgoing::default());
        let node = fastrand::u64(1..);
        let accepted = Arc::new(Accepted::new((node, addr.to_owned()), outgoing.clone()));
        let gate = Arc::new(Gate {
            addr: addr.to_owned(),
            node,
            record: Mutex::new(record),
            opened: Mutex::default(),
            handler: Mutex::new(Some(self.shared.dialer.host.accept(accepted))),
            sessions: Mutex::new(Sessions::new(self.ids.clone())),
            outgoing: outgoing.clone(),
            stop: self.shared.dialer.stop.child_token(),
        });
        by_addr.insert(addr.to_owned(), gate.clone());
        tracing::info!(gate = addr, "a gate of nano calls this node");
        self.shared.tasks.spawn(keep(self.clone(), gate.clone(), outgoing.batches()));
        Ok(gate)
    }

    fn forget(&self, gate: &Arc<Gate>) {
        {
            let mut by_addr = self.by_addr();
            // Its next life may be there already.
            if by_addr.get(&gate.addr).is_some_and(|known| Arc::ptr_eq(known, gate)) {
                by_addr.remove(&gate.addr);
            }
        }
        gate.outgoing.end();
        let handler = gate.handler().take();
        drop(handler);
        self.shared.dialer.host.forget(gate.node);
    }
}

impl Gate {
    fn opened(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle_opened(&self, opened_at: Instant) {
        let mut opened = self.opened();
        opened.push_back(opened_at);
        if opened.len() > OPENED_MAX {
            opened.pop_front();
        }
    }

    /// How far apart in time a connection was opened from one of the gate's.
    fn apart(&self, opened_at: Instant) -> Option<Duration> {
        let apart = |other: &Instant| opened_at.max(*other) - opened_at.min(*other);
        self.opened().iter().map(apart).min()
    }

    fn handler(&self) -> MutexGuard<'_, Option<Box<dyn LinkHandler>>> {
        self.handler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, frame: impl FnOnce(&mut Sessions) -> Result<Frame, SessionError>) -> Result<(), Status> {
        let mut handler = self.handler();
        let handler = handler.as_mut().ok_or_else(|| Status::unavailable("the gate is taken for dead"))?;
        let frame = frame(&mut self.sessions()).map_err(|error| match error {
            SessionError::Ended => Status::not_found(error.to_string()),
            SessionError::TooMany | SessionError::Overloaded => Status::resource_exhausted(error.to_string()),
        })?;
        handler.handle_frame(frame);
        Ok(())
    }

    fn handle_closed(&self, session: i64) {
        let mut handler = self.handler();
        let ended = self.sessions().handle_closed(session);
        if let (Some(handler), Some(ended)) = (handler.as_mut(), ended) {
            handler.handle_frame(ended);
        }
    }
}

impl Side for Gate {
    fn handle_frame(&self, frame: Frame, jobs: &mut Vec<Job>) {
        self.sessions().handle_frame(frame, jobs);
    }

    fn handle_taken(&self, _call: u64) {}

    fn handle_refused(&self, _call: u64, status: &Status) {
        // Its client is gone, most often.
        tracing::debug!(gate = self.addr, %status, "a gate of nano refuses what it is told");
    }
}

/// Tells a gate what is for it, until it is gone.
async fn keep(gates: Arc<Gates>, gate: Arc<Gate>, batches: Batches) {
    let mut calls = Calls::new(batches);
    let why = gate.stop.run_until_cancelled(live(&gates.shared, &gate, &mut calls)).await;
    let why = why.unwrap_or("it has left, or this node stops");
    tracing::info!(gate = gate.addr, why, "a gate of nano is forgotten");
    gates.forget(&gate);
}

async fn live(shared: &Shared, gate: &Gate, calls: &mut Calls) -> &'static str {
    let mut deadline = Instant::now() + HELLO_TIMEOUT;
    loop {
        let Ok(wire) = timeout_at(deadline, connect(shared, &gate.addr)).await else {
            return "it is not reached";
        };
        let over = tokio::select! {

            over = calls.run(&wire, gate, shared.dialer.timing) => over,
            () = gate.outgoing.overflowed() => return "it takes nothing of what it is sent",
        };
        if over == CallsOver::Finished {
            return "nothing is for it any more";
        }
        tracing::debug!(gate = gate.addr, why = %over, "a connection to a gate of nano has ended");
        deadline = Instant::now() + shared.dialer.timing.comeback;
    }
}

/// Connects as soon as it can be done.
async fn connect(shared: &Shared, addr: &str) -> Wire {
    let mut backoff = Backoff::default();
    loop {
        match Wire::connect(shared, addr).await {
            Ok(wire) => return wire,
            Err(error) => tracing::debug!(
                gate = addr,
                error = crate::link::chain(&error),
                "a gate of nano is not reached"
            ),
        }
        sleep(backoff.pause(fastrand::f64())).await;
    }
}
