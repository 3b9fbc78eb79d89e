//! The shell of the pool: one lock around it, with the connections, waiters and dials that its ids stand for.
//!
//! What the pool wants done is in `effects.rs`; most of it is done after the lock is given up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foldhash::fast::RandomState;
use futures_util::future::AbortHandle;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::effects::{Effects, Want};
use crate::config::Settings;
use crate::conn::{Conn, Home, Lease, Sender};
use crate::dial::{Dialer, Order};
use crate::error::{Error, ErrorKind, LimitKind};
use crate::key::ConnKey;
use crate::limits::HTTP2_STREAMS_BEFORE_SETTINGS;
use crate::pool::{Action, ById, ConnId, Event, Opened, Pool, WaiterId};
use crate::stats::{CloseCause, PoolStats};

pub(super) type Delivery = Result<Lease, Error>;
pub(super) type Warmed = oneshot::Sender<Result<(), Error>>;

/// Everything that the handles of a transport share.
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) dialer: Arc<Dialer>,
    pub(super) sweep: Arc<Notify>,
    pub(super) me: Weak<Self>,
    runtime: Option<Handle>,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) pool: Pool<ConnKey>,
    pub(super) conns: ById<Entry>,
    pub(super) waiters: HashMap<WaiterId, Waiting, RandomState>,
    pub(super) dials: HashMap<ConnId, Dialing, RandomState>,
    /// When the sweeper looks next; `None` while there is none.
    pub(super) sweeps_at: Option<Instant>,
    last_waiter: u64,
    last_runtime: Option<Handle>,
}

pub(super) struct Entry {
    pub(super) conn: Arc<Conn>,
    /// HTTP/1: while no exchange has it.
    pub(super) sender: Option<Sender>,
}

pub(super) struct Waiting {
    pub(super) tell: oneshot::Sender<Delivery>,
    /// Taken by the dial that is made for it.
    pub(super) order: Option<Order>,
}

pub(super) struct Dialing {
    pub(super) abort: AbortHandle,
    pub(super) warmed: Option<Warmed>,
}

/// What came of asking for a connection.
pub(super) enum Asked {
    Settled(Delivery),
    Waits(WaiterId, oneshot::Receiver<Delivery>),
}

impl Shared {
    pub(crate) fn new(settings: Settings, dialer: Dialer, runtime: Option<Handle>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            state: Mutex::new(State {
                pool: Pool::new(settings.pool.clone()),
                conns: ById::default(),
                waiters: HashMap::default(),
                dials: HashMap::default(),
                sweeps_at: None,
                last_waiter: 0,
                last_runtime: None,
            }),
            settings: Arc::new(settings),
            dialer: Arc::new(dialer),
            sweep: Arc::new(Notify::new()),
            me: me.clone(),
            runtime,
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where tasks run: where it was said, else here, else where somebody asked last.
    pub(super) fn runtime(&self, state: &State) -> Option<Handle> {
        self.runtime.clone().or_else(|| Handle::try_current().ok()).or_else(|| state.last_runtime.clone())
    }

    /// Asks for a connection. What is to be dialed is asked for only if there is none.
    pub(super) fn ask(&self, key: &ConnKey, order: impl FnOnce() -> Order) -> Asked {
        let now = Instant::now().into_std();
        let mut state = self.lock();
        let (taken, overdue) = state.pool.take(now, key);
        if let Some((conn, reuse)) = taken {
            let delivery = self.lease(&mut state, conn, reuse);
            if !overdue.is_empty() {
                let effects = self.carry_out(&mut state, overdue, &mut Want::default());
                drop(state);
                self.run(effects);
            }
            return Asked::Settled(delivery);
        }
        state.last_waiter += 1;
        let waiter = WaiterId(state.last_waiter);
        let mut actions = overdue;
        actions.extend(state.pool.step(now, Event::Checkout { waiter, key: key.clone() }));
        let is_refused = actions.contains(&Action::Refuse { waiter });
        if is_refused {
            let effects = self.carry_out(&mut state, actions, &mut Want::default());
            drop(state);
            self.run(effects);
            return Asked::Settled(Err(Error::new(ErrorKind::Limit(LimitKind::Waiting)).to(key)));
        }
        let (tell, told) = oneshot::channel();
        state.waiters.insert(waiter, Waiting { tell, order: Some(order()) });
        state.last_runtime = Handle::try_current().ok().or_else(|| state.last_runtime.take());
        let effects = self.carry_out(&mut state, actions, &mut Want::default());
        drop(state);
        self.run(effects);
        Asked::Waits(waiter, told)
    }

    /// A request no longer waits.
    pub(super) fn cancelled(&self, waiter: WaiterId) {
        let mut state = self.lock();
        let gone = state.waiters.remove(&waiter);
        self.drive(state, Event::Cancelled { waiter }, Want::default());
        drop(gone);
    }

    /// A dial gave a connection.
    pub(super) fn dialed(&self, conn: Arc<Conn>, sender: Sender, retire_at: Option<Instant>) {
        let id = conn.id;
        let mut state = self.lock();
        if conn.is_gone() {
            drop(state);
            return self.dial_failed(id, Error::new(ErrorKind::ClosedByPeer).to(&conn.info.key));
        }
        tracing::debug!(target: "dunlin_http::pool", conn = id.number(), key = %conn.info.key, "opened");
        let warmed = state.dials.remove(&id).and_then(|dial| dial.warmed);
        let streams_max = (!conn.is_http1()).then_some(HTTP2_STREAMS_BEFORE_SETTINGS);
        state.conns.insert(id, Entry { conn, sender: Some(sender) });
        let opened = Opened { streams_max, retire_at: retire_at.map(Instant::into_std) };
        self.drive(state, Event::Dialed { conn: id, opened }, Want::default());
        if let Some(warmed) = warmed {
            // Whoever asked may no longer want to know.
            warmed.send(Ok(())).ok();
        }
    }

    /// A dial failed, or was given up.
    pub(super) fn dial_failed(&self, id: ConnId, error: Error) {
        tracing::debug!(target: "dunlin_http::pool", conn = id.number(), error = %error, "dial failed");
        let mut state = self.lock();
        let warmed = state.dials.remove(&id).and_then(|dial| dial.warmed);
        let mut want = Want::default();
        let mut error = Some(error);
        if warmed.is_none() {
            want.dial_error = error.take();
        }
        self.drive(state, Event::DialFailed { conn: id }, want);
        if let (Some(warmed), Some(error)) = (warmed, error) {
            warmed.send(Err(error)).ok();
        }
    }

    /// Closes what is idle for too long; says when to look again.
    pub(super) fn tick(&self) -> Option<Instant> {
        self.drive(self.lock(), Event::Tick, Want::default());
        let mut state = self.lock();
        state.sweeps_at = state.pool.next_deadline().map(Instant::from_std);
        state.sweeps_at
    }

    pub(crate) fn retried(&self, conn: ConnId) {
        self.drive(self.lock(), Event::Retried { conn }, Want::default());
    }

    pub(crate) fn close_idle(&self) {
        self.drive(self.lock(), Event::CloseIdle, Want::default());
    }

    pub(crate) fn evict(&self, conn: ConnId) {
        let cause = CloseCause::Evicted;
        self.drive(self.lock(), Event::Retired { conn, cause }, Want::default());
    }

    pub(crate) fn conns(&self) -> Vec<Arc<Conn>> {
        self.lock().conns.values().map(|entry| entry.conn.clone()).collect()
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let (total, hosts) = self.lock().pool.stats();
        PoolStats { total, hosts }
    }

    /// Dials so that there are `count` idle connections; each dial says how it went.
    pub(crate) fn warm(&self, order: Order, count: usize) -> Vec<oneshot::Receiver<Result<(), Error>>> {
        let mut state = self.lock();
        state.last_runtime = Handle::try_current().ok().or_else(|| state.last_runtime.take());
        let event = Event::Warm { key: order.key.clone(), count };
        let actions = state.pool.step(Instant::now().into_std(), event);
        let mut want = Want { warm: Some(order), ..Want::default() };
        let effects = self.carry_out(&mut state, actions, &mut want);
        drop(state);
        self.run(effects);
        want.warming
    }

    fn drive(&self, mut state: MutexGuard<'_, State>, event: Event<ConnKey>, mut want: Want) {
        let actions = state.pool.step(Instant::now().into_std(), event);
        let effects: Effects = self.carry_out(&mut state, actions, &mut want);
        drop(state);
        self.run(effects);
    }
}

impl Home for Shared {
    fn release(
        &self,
        conn: &Arc<Conn>,
        sender: Sender,
        reuse: Result<(), CloseCause>,
    ) -> Result<(), CloseCause> {
        let id = conn.id;
        let mut state = self.lock();
        let mut unused = Some(sender);
        let Some(entry) = state.conns.get_mut(id) else {
            // It was closed under the exchange; the pool knows that by now.
            drop(state);
            return reuse.and(Err(conn.cause_of_end()));
        };
        if conn.is_http1() {
            entry.sender = unused.take();
        }
        let actions = state.pool.step(Instant::now().into_std(), Event::Released { conn: id, reuse });
        let effects = if actions.is_empty() {
            self.schedule_sweep(&mut state).into_iter().collect()
        } else {
            self.carry_out(&mut state, actions, &mut Want::default())
        };
        let retired = state.pool.retired(id);
        drop(state);
        self.run(effects);
        retired.map_or(reuse, Err)
    }

    fn closed(self: Arc<Self>, conn: &Arc<Conn>) {
        let cause = conn.cause_of_end();
        let mut state = self.lock();
        // A connection that was closed before it was known is a dial that failed.
        let Some(entry) = state.conns.remove(conn.id) else { return };
        self.drive(state, Event::Closed { conn: conn.id, cause }, Want::default());
        drop(entry);
        tracing::debug!(target: "dunlin_http::pool", conn = conn.info.id, key = %conn.info.key, %cause, "closed");
    }

    fn retired(self: Arc<Self>, conn: &Arc<Conn>) {
        let cause = conn.cause().unwrap_or(CloseCause::Peer);
        self.drive(self.lock(), Event::Retired { conn: conn.id, cause }, Want::default());
    }

    fn streams_changed(self: Arc<Self>, conn: &Arc<Conn>, streams_max: usize) {
        self.drive(self.lock(), Event::StreamsMax { conn: conn.id, streams_max }, Want::default());
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}
