//! The session handle: what a handler holds of a client.
//!
//! Invariants: a session ends once, and whatever is asked of it afterwards gets a typed answer; pushes never wait;
//! locks are held for a queue operation and never across user code.
//!
//! `handle/output.rs` is what waits to leave it, and how its end is asked for.

mod output;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dunlin_cluster::frame::Altered;
use dunlin_wire::ClientAbilities;
use tokio::time::Instant;

use self::output::Out;
use super::attributes::Attributes;
use super::outgoing::{Outgoing, PushError};
use super::{CloseReason, Pushed, SessionId};
use crate::app::Shared;
use crate::cluster::{GateLink, Visits};
use crate::edge::{ShardHandle, SlotKey};
use crate::event::Event;
use crate::group::GroupInner;
use crate::timer::{TimerSet, Timers};

/// How a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// Packets on a plain TCP stream.
    Tcp,
    /// Packets in WebSocket messages.
    WebSocket,
}

/// The session is over; nothing reaches the client any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session is closed")]
pub struct SessionClosed;

/// Why a uid could not be bound to a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The session is over.
    #[error("the session is closed")]
    Closed,
    /// The session is bound to another uid; unbind it first.
    #[error("the session is already bound to uid `{uid}`")]
    AlreadyBound {
        /// The uid it is bound to.
        uid: Arc<str>,
    },
    /// An empty uid names nobody.
    #[error("a uid may not be empty")]
    Empty,
}

type CloseCallback = Box<dyn FnOnce(&Session, &CloseReason) + Send>;

/// One client on this node, from its handshake to its end. Cloning is cheap and every clone is the same session.
///
/// A handle may outlive its connection: pushes then fail with [`PushError::Closed`], the rest keeps answering.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

/// Where a session's client is connected.
pub(crate) enum Home {
    /// To this node: a shard has its connection.
    Shard {
        /// Which.
        shard: Arc<ShardHandle>,
        /// Where there.
        slot: SlotKey,
    },
    /// To another node, which has forwarded its calls.
    Gate(Arc<GateLink>),
    /// Nowhere: a node calls by itself.
    Node(Arc<Shared>),
}

/// What makes a session; see the fields' getters on [`Session`].
pub(crate) struct SessionSeed {
    pub(crate) id: SessionId,
    pub(crate) home: Home,
    pub(crate) remote_addr: Option<SocketAddr>,
    pub(crate) transport: Transport,
    pub(crate) abilities: ClientAbilities,
    pub(crate) is_pitaya: bool,
}

struct Inner {
    id: SessionId,
    home: Home,
    connected_at: Instant,
    remote_addr: Option<SocketAddr>,
    transport: Transport,
    abilities: ClientAbilities,
    is_pitaya: bool,
    is_closed: AtomicBool,
    /// The shard has been told that there is something to write, and has not looked yet.
    is_dirty: AtomicBool,
    out: Mutex<Out>,
    state: Mutex<Option<Box<State>>>,
}

/// What most sessions of an idle crowd do not have, so it is made when first needed.
#[derive(Default)]
pub(super) struct State {
    pub(super) uid: Option<Arc<str>>,
    attributes: Attributes,
    groups: Vec<Arc<GroupInner>>,
    on_close: Vec<CloseCallback>,
    timers: TimerSet,
    /// What goes with the session to other nodes, encoded by name.
    pub(super) shared: BTreeMap<String, Bytes>,
    /// The other nodes that know the session.
    pub(super) visits: Option<Box<Visits>>,
    /// The end has begun: nothing joins any more, callbacks run.
    pub(super) is_over: bool,
    /// The end is over: values are neither there nor taken.
    pub(super) is_forgotten: bool,
}

impl Session {
    pub(crate) fn new(seed: SessionSeed) -> Self {
        Self(Arc::new(Inner {
            id: seed.id,
            home: seed.home,
            connected_at: Instant::now(),
            remote_addr: seed.remote_addr,
            transport: seed.transport,
            abilities: seed.abilities,
            is_pitaya: seed.is_pitaya,
            is_closed: AtomicBool::new(false),
            is_dirty: AtomicBool::new(false),
            out: Mutex::default(),
            state: Mutex::new(None),
        }))
    }

    /// The session's id, unique across nodes and restarts.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// The address the client connects from; `None` for an in-process client.
    #[must_use]
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.0.remote_addr
    }

    /// How the client is connected.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.0.transport
    }

    /// When the session began, on the runtime's clock.
    #[must_use]
    pub fn connected_at(&self) -> Instant {
        self.0.connected_at
    }

    /// How long the session has lasted.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.0.connected_at.elapsed()
    }

    /// Whether the session is over or about to end.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::Acquire)
    }

    /// The uid bound to the session, if any.
    #[must_use]
    pub fn uid(&self) -> Option<Arc<str>> {
        self.state().as_ref().and_then(|state| state.uid.clone())
    }

    /// Binds the session to a user. Binding the uid it already has does nothing.
    ///
    /// It is `async` because a uid may have to be agreed on with other nodes; on one node it does not wait.
    ///
    /// # Errors
    ///
    /// [`BindError`] when the session is closed or bound to another uid, or the uid is empty.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the future has bound nothing.
    #[expect(
        clippy::unused_async,
        reason = "agreeing with other nodes will wait here; handlers must not change then"
    )]
    pub async fn bind(&self, uid: impl Into<Arc<str>> + Send) -> Result<(), BindError> {
        let uid: Arc<str> = uid.into();
        if uid.is_empty() {
            return Err(BindError::Empty);
        }
        {
            let mut guard = self.state();
            let state = guard.get_or_insert_default();
            if state.is_over {
                return Err(BindError::Closed);
            }
            match &state.uid {
                Some(bound) if *bound == uid => return Ok(()),
                Some(bound) => return Err(BindError::AlreadyBound { uid: bound.clone() }),
                None => state.uid = Some(uid.clone()),
            }
            self.app().sessions.insert(uid.clone(), self.clone());
        }
        self.app().hooks.bound(self);
        self.tell_altered(Altered { uid: Some(uid.to_string()), ..Altered::default() });
        Ok(())
    }

    /// Takes the uid off the session and returns it.
    pub fn unbind(&self) -> Option<Arc<str>> {
        let uid = {
            let mut guard = self.state();
            let uid = guard.as_mut()?.uid.take()?;
            self.app().sessions.remove(&uid, self.id());
            uid
        };
        self.tell_altered(Altered { uid: Some(String::new()), ..Altered::default() });
        Some(uid)
    }

    /// Keeps a value with the session, one for each type, and returns the one it replaces. Values go when the session
    /// has ended and its callbacks and hooks have run; from then on `value` is dropped.
    pub fn set<T: Any + Send + Sync>(&self, value: T) -> Option<T> {
        let mut guard = self.state();
        let state = guard.get_or_insert_default();
        if state.is_forgotten {
            return None;
        }
        state.attributes.set(value)
    }

    /// A copy of the session's value of type `T`.
    #[must_use]
    pub fn get<T: Any + Clone>(&self) -> Option<T> {
        self.state().as_ref()?.attributes.get::<T>().cloned()
    }

    /// Removes and returns the session's value of type `T`.
    pub fn take<T: Any>(&self) -> Option<T> {
        self.state().as_mut()?.attributes.remove()
    }

    /// Works on the session's value of type `T`, made by `make` when there is none yet. `None` when the session is over
    /// and keeps no values any more.
    ///
    /// The session's state is locked meanwhile: keep `work` short and do not use the session in it.
    pub fn with_or_insert<T: Any + Send + Sync, R>(
        &self,
        make: impl FnOnce() -> T,
        work: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let mut guard = self.state();
        let state = guard.get_or_insert_default();
        if state.is_forgotten {
            return None;
        }
        state.attributes.get_or_insert_with(make).map(work)
    }

    /// Sends an event to the client. Queues it and never waits.
    ///
    /// # Errors
    ///
    /// [`PushError`] when the session is closed, its queue is full, or the event cannot be encoded.
    pub fn push<E: Event>(&self, event: &E) -> Result<Pushed, PushError> {
        self.send(&mut Outgoing::event(self.app(), event)?)
    }

    /// Sends bytes to the client under a route, as they are.
    ///
    /// # Errors
    ///
    /// [`PushError`] when the session is closed, its queue is full, or the packet would be too long.
    pub fn push_raw(&self, route: &str, body: impl Into<Bytes>) -> Result<Pushed, PushError> {
        self.send(&mut Outgoing::raw(self.app(), route, body.into()))
    }

    /// Ends the session after what is already queued: the client is told `reason` and disconnected.
    ///
    /// # Errors
    ///
    /// [`SessionClosed`] when it was over already.
    pub fn kick(&self, reason: impl Into<String>) -> Result<(), SessionClosed> {
        self.end(CloseReason::Kicked { reason: reason.into() })
    }

    /// Ends the session after what is already queued, without a reason.
    ///
    /// # Errors
    ///
    /// [`SessionClosed`] when it was over already.
    pub fn close(&self) -> Result<(), SessionClosed> {
        self.end(CloseReason::ByServer)
    }

    /// Timers that end with the session. They run on the runtime they are set from, in a handler the session's shard.
    #[must_use]
    pub fn timers(&self) -> Timers {
        let mut guard = self.state();
        let state = guard.get_or_insert_default();
        let timers = state.timers.timers().clone();
        if state.is_over {
            timers.end();
        }
        timers
    }

    /// Calls `callback` once, on the session's shard, when the session has ended.
    ///
    /// # Errors
    ///
    /// [`SessionClosed`] when it is over already; the callback is then dropped uncalled.
    pub fn on_close(
        &self,
        callback: impl FnOnce(&Self, &CloseReason) + Send + 'static,
    ) -> Result<(), SessionClosed> {
        let mut guard = self.state();
        let state = guard.get_or_insert_default();
        if state.is_over {
            return Err(SessionClosed);
        }
        state.on_close.push(Box::new(callback));
        Ok(())
    }
}

/// The side the shard, the groups and the application see.
impl Session {
    /// Whether the client is connected to another node, which has forwarded its calls.
    #[must_use]
    pub fn is_visitor(&self) -> bool {
        matches!(self.0.home, Home::Gate(_))
    }

    /// Where the client is connected.
    pub(crate) fn home(&self) -> &Home {
        &self.0.home
    }

    pub(crate) fn app(&self) -> &Arc<Shared> {
        match &self.0.home {
            Home::Shard { shard, .. } => &shard.app,
            Home::Gate(gate) => gate.app(),
            Home::Node(app) => app,
        }
    }

    /// What the client can take.
    pub(crate) fn abilities(&self) -> ClientAbilities {
        self.0.abilities
    }

    /// Whether the client is one of pitaya's, which differ in how errors look.
    pub(crate) fn is_pitaya(&self) -> bool {
        self.0.is_pitaya
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Option<Box<State>>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session for good: no push is taken, groups forget it, its callbacks and then `last` run. Only the first
    /// call acts.
    pub(crate) fn finish(&self, reason: &CloseReason, last: impl FnOnce()) {
        {
            let mut out = self.out();
            self.begin_close(&mut out, reason.clone());
            out.outbox.clear();
        }
        let (uid, groups, callbacks, visits) = {
            let mut guard = self.state();
            let state = guard.get_or_insert_default();
            if std::mem::replace(&mut state.is_over, true) {
                return;
            }
            let (groups, callbacks) =
                (std::mem::take(&mut state.groups), std::mem::take(&mut state.on_close));
            (state.uid.clone(), groups, callbacks, std::mem::take(&mut state.visits))
        };
        if let Some(uid) = uid {
            self.app().sessions.remove(&uid, self.id());
        }
        if let (Some(visits), Some(cluster)) = (visits, self.app().cluster.get()) {
            cluster.tell_ended(self.id(), &visits, reason);
        }
        for group in groups {
            group.forget(self.id());
        }
        for callback in callbacks {
            crate::app::contain("close callback", || callback(self, reason));
        }
        last();
        // Dropping the set ends its timers. Attributes stay readable in the callbacks; afterwards they go and none is
        // taken any more, so that a value which holds this very session does not keep it alive for ever.
        let left = self.state().as_mut().map(|state| {
            state.is_forgotten = true;
            (std::mem::take(&mut state.attributes), std::mem::take(&mut state.timers))
        });
        crate::app::contain("the drop of a session's values", || drop(left));
    }

    /// Notes that the session joins `group`, if it is not over; `insert` runs under the session's lock, so that a
    /// session which ends at the same time is either not inserted or forgotten afterwards.
    pub(crate) fn join<R>(
        &self,
        group: &Arc<GroupInner>,
        insert: impl FnOnce() -> Option<R>,
    ) -> Result<Option<R>, SessionClosed> {
        let mut guard = self.state();
        let state = guard.get_or_insert_default();
        if state.is_over {
            return Err(SessionClosed);
        }
        let inserted = insert();
        if inserted.is_some() {
            state.groups.push(group.clone());
        }
        Ok(inserted)
    }

    /// Notes that the session left `group`.
    pub(crate) fn leave(&self, group: &Arc<GroupInner>) {
        if let Some(state) = self.state().as_mut() {
            state.groups.retain(|joined| !Arc::ptr_eq(joined, group));
        }
    }
}

impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Session {}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.0.id)
            .field("transport", &self.0.transport)
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
