//! Another node, as the node that dials it sees it: what can be sent to it, and which calls wait for its answers.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use dunlin_registry::nodes::{NodeRecord, NodeState};
use tokio::sync::{oneshot, watch};

use super::outgoing::Outgoing;
use crate::core::Candidate;
use crate::error::SendError;
use crate::frame::{Answer, Call, Frame, Outcome};
use crate::limits::WAITING_CALLS_MAX;

/// The link ended before the answer came. Whether the call was handled is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node was lost before it answered")]
pub struct Lost;

/// Another node.
#[derive(Debug)]
pub struct Peer {
    id: u64,
    record: Mutex<Arc<NodeRecord>>,
    /// What the link of now takes; `None` while there is none.
    outgoing: Mutex<Option<Arc<Outgoing>>>,
    is_up: watch::Sender<bool>,
    /// It is in the registry no more: nothing new is for it.
    is_gone: AtomicBool,
    /// There is a link to it, it is in the registry, and it does not drain: what each call looks at.
    takes_new: AtomicBool,
    waiting: Mutex<Waiting>,
    in_flight: AtomicUsize,
    links: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    last_id: u64,
    calls: HashMap<u64, oneshot::Sender<Result<Outcome, Lost>>>,
}

impl Peer {
    pub(crate) fn new(record: NodeRecord) -> Self {
        Self::with_calls_after(record, 0)
    }

    /// A node whose calls have ids greater than this one.
    pub(crate) fn with_calls_after(record: NodeRecord, last_id: u64) -> Self {
        Self {
            id: record.id,
            record: Mutex::new(Arc::new(record)),
            outgoing: Mutex::new(None),
            is_up: watch::Sender::new(false),
            is_gone: AtomicBool::new(false),
            takes_new: AtomicBool::new(false),
            waiting: Mutex::new(Waiting { last_id, calls: HashMap::new() }),
            in_flight: AtomicUsize::new(0),
            links: AtomicU64::new(0),
        }
    }

    /// The node's id.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// What is known of it.
    #[must_use]
    pub fn record(&self) -> Arc<NodeRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_record(&self, record: &NodeRecord) {
        let mut known = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if **known != *record {
            *known = Arc::new(record.clone());
        }
        drop(known);
        self.look();
    }

    /// What is known of it has changed.
    fn look(&self) {
        // Whoever comes last has seen all changes.
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let takes_new = self.is_up() && !self.is_gone() && record.state() == NodeState::Up;
        self.takes_new.store(takes_new, Ordering::Release);
    }

    pub(crate) fn set_gone(&self, is_gone: bool) {
        self.is_gone.store(is_gone, Ordering::Release);
        self.look();
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// Whether there is a link to it.
    #[must_use]
    pub fn is_up(&self) -> bool {
        *self.is_up.borrow()
    }

    /// How long the way to it and back took last; `None` while there is no link, or it has just begun.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.outgoing().as_ref()?.round_trip()
    }

    /// How many calls wait for its answers.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How many links to it there were. What was sent on one that ended may not have arrived.
    #[must_use]
    pub fn links(&self) -> u64 {
        self.links.load(Ordering::Acquire)
    }

    /// Whether it takes sessions that were not with it before.
    #[must_use]
    pub fn takes_new(&self) -> bool {
        self.takes_new.load(Ordering::Acquire)
    }

    /// Waits until there is a link to it.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but the wait.
    pub async fn wait_up(&self) {
        // It has the other end itself.
        self.is_up.subscribe().wait_for(|is_up| *is_up).await.ok();
    }

    /// It, to be chosen.
    #[must_use]
    pub fn candidate(&self) -> Candidate {
        Candidate { node: self.id, in_flight: self.in_flight() }
    }

    /// Sends a frame, after all that were sent before.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn send(&self, frame: impl Into<Frame>) -> Result<(), SendError> {
        let outgoing = self.outgoing().clone();
        outgoing.ok_or(SendError::Unreachable)?.send(frame.into())
    }

    /// Sends a call, whose id is given here. It is sent when this returns.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn call(self: &Arc<Self>, mut call: Call) -> Result<Answering, SendError> {
        let (tell, told) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if waiting.calls.len() >= WAITING_CALLS_MAX {
                return Err(SendError::Overloaded);
            }
            waiting.last_id += 1;
            call.id = waiting.last_id;
            waiting.calls.insert(call.id, tell);
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        // Dropped, it waits no more.
        let answering = Answering { peer: self.clone(), id: call.id, told };
        self.send(call)?;
        Ok(answering)
    }

    fn outgoing(&self) -> MutexGuard<'_, Option<Arc<Outgoing>>> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A link is there: what is sent from now on goes out on it.
    pub(crate) fn begin(&self, outgoing: Arc<Outgoing>) {
        self.links.fetch_add(1, Ordering::AcqRel);
        *self.outgoing() = Some(outgoing);
    }

    /// The link is known to work at both ends.
    pub(crate) fn set_up(&self) {
        self.is_up.send_replace(true);
        self.look();
    }

    /// The link has ended.
    pub(crate) fn end(&self) {
        self.is_up.send_replace(false);
        self.look();
        if let Some(outgoing) = self.outgoing().take() {
            outgoing.end();
        }
        // Whoever calls puts itself here before it sends, and what is sent after the end is refused: nobody is missed.
        let lost = std::mem::take(&mut self.waiting().calls);
        for tell in lost.into_values() {
            // Whoever asked may have gone this very moment.
            tell.send(Err(Lost)).ok();
        }
    }

    /// An answer came.
    pub(crate) fn handle_answer(&self, answer: Answer) {
        let tell = self.waiting().calls.remove(&answer.id);
        // Nobody waits for one that came too late.
        if let (Some(tell), Some(outcome)) = (tell, answer.outcome) {
            tell.send(Ok(outcome)).ok();
        }
    }
}

/// A call that waits for its answer. Dropped, the answer is wanted no more.
#[derive(Debug)]
pub struct Answering {
    peer: Arc<Peer>,
    id: u64,
    told: oneshot::Receiver<Result<Outcome, Lost>>,
}

impl Future for Answering {
    type Output = Result<Outcome, Lost>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = ready!(Pin::new(&mut self.told).poll(cx));
        Poll::Ready(told.unwrap_or(Err(Lost)))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.peer.waiting().calls.remove(&self.id);
        self.peer.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
