//! The pool as a pure state machine: events in, actions out; no IO, clock, task or hyper type.
//!
//! A waiter is one request that wants a connection. It stands in two queues at once: that for the next connection
//! that becomes idle and that for leave to dial. Whatever comes first serves it and takes it out of both.
//! A [`ConnId`] is a slot: it is taken when a dial begins and given back once, when the dial failed or the connection
//! is closed, never when a request ends. Semantics: `docs/http-behaviours.md`. Read next: `step.rs`.
//!
//! Invariants, held by `tests/random.rs`: dialing + active + idle + closing never exceeds the limit of a host; nobody
//! waits while a usable connection is idle or a slot is free; a slot is freed once; a waiter is answered once.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use slab::Slab;
use smallvec::SmallVec;

use crate::config::{Http2AtLimit, MaxIdlePerHost, OnCancelDial, ReuseOrder};
use crate::stats::{CloseCause, ConnStats};

mod idle;
mod look;
mod step;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use self::table::{ById, ConnId};
use self::table::{Conns, IdleQueue};

/// A request that wants a connection. Later ones are greater, so their order is that of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct WaiterId(pub(crate) u64);

/// The rules of a pool.
#[derive(Debug, Clone)]
pub(crate) struct PoolConfig {
    pub(crate) keeps_alive: bool,
    pub(crate) max_conns_per_host: Option<NonZeroUsize>,
    pub(crate) max_idle: Option<usize>,
    pub(crate) max_idle_per_host: MaxIdlePerHost,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) reuse_order: ReuseOrder,
    pub(crate) on_cancel_dial: OnCancelDial,
    pub(crate) http2_at_limit: Http2AtLimit,
    pub(crate) waiting_max: usize,
}

impl PoolConfig {
    /// Whether a connection may ever serve twice.
    pub(crate) fn keeps_idle(&self) -> bool {
        self.keeps_alive && self.max_idle_per_host != MaxIdlePerHost::Never
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event<K> {
    /// A request wants a connection, and [`Pool::take`] had none.
    Checkout { waiter: WaiterId, key: K },
    /// A request that waited is gone.
    Cancelled { waiter: WaiterId },
    /// A dial succeeded.
    Dialed { conn: ConnId, opened: Opened },
    /// A dial failed, or was given up.
    DialFailed { conn: ConnId },
    /// An exchange on a connection ended. `Err`: it left the connection in no state for another one.
    Released { conn: ConnId, reuse: Result<(), CloseCause> },
    /// A connection takes no more requests; those on it go on.
    Retired { conn: ConnId, cause: CloseCause },
    /// A connection is gone: its socket is closed.
    Closed { conn: ConnId, cause: CloseCause },
    /// The peer of an HTTP/2 connection changed how many streams it takes.
    StreamsMax { conn: ConnId, streams_max: usize },
    /// A request is sent again.
    Retried { conn: ConnId },
    /// Close what is idle and what is dialed for nobody, and keep nothing until the next checkout.
    CloseIdle,
    /// There should be so many idle connections.
    Warm { key: K, count: usize },
    /// A time of [`Pool::next_deadline`] may have come.
    Tick,
}

/// What a dial gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Exchanges at a time; `None` for HTTP/1, which takes one and belongs to it.
    pub(crate) streams_max: Option<usize>,
    /// When it is too old to be used again.
    pub(crate) retire_at: Option<Instant>,
}

/// What must be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// The waiter gets this connection; an exchange begins.
    Deliver { waiter: WaiterId, conn: ConnId, reuse: Reuse },
    /// The waiter gets the error of this connection's dial.
    Fail { waiter: WaiterId, conn: ConnId },
    /// The waiter is turned away: too many wait.
    Refuse { waiter: WaiterId },
    /// Dial. Answer with [`Event::Dialed`] or [`Event::DialFailed`].
    Dial { conn: ConnId, waiter: Option<WaiterId> },
    /// Give the dial up. Answer with [`Event::DialFailed`], or with [`Event::Dialed`] if it was too late.
    AbortDial { conn: ConnId },
    /// Close. Answer with [`Event::Closed`].
    Close { conn: ConnId, cause: CloseCause },
}

/// Mostly none, one or two.
pub(crate) type Actions = SmallVec<[Action; 2]>;

/// What a delivered connection did before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reuse {
    /// It had served, or had at least been idle, so the peer may have closed it meanwhile.
    pub(crate) is_reused: bool,
    /// For how long it had been idle; `None` when it came fresh from its dial or from another request.
    pub(crate) idle_for: Option<Duration>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pool<K> {
    config: PoolConfig,
    keys: Slab<Host<K>>,
    by_key: HashMap<K, usize, RandomState>,
    conns: Conns,
    waiters: HashMap<WaiterId, Waiter, RandomState>,
    idle: IdleQueue,
    /// Idle connections by the time when they are too old; only those that have one.
    retire_at: BTreeSet<(Instant, ConnId)>,
    /// Hosts without connections and waiters, the longest quiet first.
    quiet: VecDeque<usize>,
    totals: ConnStats,
    keeps_nothing: bool,
}

/// Everything of one key.
#[derive(Debug)]
struct Host<K> {
    key: K,
    /// Slots taken.
    open: usize,
    /// Idle HTTP/1 connections, that which became idle last at the end.
    idle: VecDeque<ConnId>,
    /// HTTP/2 connections that take requests, the oldest first.
    shared: VecDeque<ConnId>,
    idle_waiters: BTreeSet<WaiterId>,
    dial_waiters: BTreeSet<WaiterId>,
    stats: ConnStats,
    is_quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Dialing { waiter: Option<WaiterId>, is_aborted: bool },
    Open,
    Closing,
}

#[derive(Debug)]
struct Conn {
    host: usize,
    phase: Phase,
    exchanges: usize,
    /// `None`: HTTP/1.
    streams_max: Option<usize>,
    retire_at: Option<Instant>,
    idle_since: Option<Instant>,
    /// It was idle once, or served.
    is_used: bool,
    /// It takes no more requests, and why.
    retired: Option<CloseCause>,
}

#[derive(Debug)]
struct Waiter {
    host: usize,
    /// The dial made for it, if it had leave.
    dial: Option<ConnId>,
}

impl<K: Hash + Eq + Clone> Pool<K> {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self {
            config,
            keys: Slab::new(),
            by_key: HashMap::default(),
            conns: Conns::default(),
            waiters: HashMap::default(),
            idle: IdleQueue::default(),
            retire_at: BTreeSet::new(),
            quiet: VecDeque::new(),
            totals: ConnStats::default(),
            keeps_nothing: false,
        }
    }

    /// A connection that can take a request now; its exchange begins. This is how most requests get one: whoever gets none
    /// asks by [`Event::Checkout`]. The actions are for connections that turned out to be too old.
    pub(crate) fn take(&mut self, now: Instant, key: &K) -> (Option<(ConnId, Reuse)>, Actions) {
        let mut actions = Actions::new();
        let Some(host) = self.by_key.get(key).copied() else { return (None, actions) };
        self.keeps_nothing = false;
        let taken = self.take_idle(now, host, &mut actions);
        if let Some((id, _)) = taken {
            self.count(id, |stats| stats.reused += 1);
        }
        (taken, actions)
    }

    /// Takes in what happened and says what must be done, in order.
    pub(crate) fn step(&mut self, now: Instant, event: Event<K>) -> Actions {
        let mut actions = Actions::new();
        match event {
            Event::Checkout { waiter, key } => self.checkout(waiter, key, &mut actions),
            Event::Cancelled { waiter } => self.cancelled(waiter, &mut actions),
            Event::Dialed { conn, opened } => self.dialed(now, conn, opened, &mut actions),
            Event::DialFailed { conn } => self.dial_failed(conn, &mut actions),
            Event::Released { conn, reuse } => self.released(now, conn, reuse, &mut actions),
            Event::Retired { conn, cause } => self.retire(conn, cause, &mut actions),
            Event::Closed { conn, cause } => self.closed(conn, cause, &mut actions),
            Event::StreamsMax { conn, streams_max } => self.streams_changed(conn, streams_max, &mut actions),
            Event::Retried { conn } => self.count(conn, |stats| stats.retries += 1),
            Event::CloseIdle => self.close_idle(&mut actions),
            Event::Warm { key, count } => self.warm(key, count, &mut actions),
            Event::Tick => self.tick(now, &mut actions),
        }
        actions
    }
}
