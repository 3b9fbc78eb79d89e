//! The pool by itself: a rig that plays the shell, tables of behaviours, and random orders of events.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::*;
use crate::limits;

mod random;
mod rules;

pub(super) fn config() -> PoolConfig {
    PoolConfig {
        keeps_alive: true,
        max_conns_per_host: None,
        max_idle: None,
        max_idle_per_host: MaxIdlePerHost::Unlimited,
        idle_timeout: None,
        reuse_order: ReuseOrder::NewestFirst,
        on_cancel_dial: OnCancelDial::Keep,
        http2_at_limit: Http2AtLimit::Grow,
        waiting_max: limits::MAX_WAITING_PER_HOST,
    }
}

pub(super) const HTTP1: Opened = Opened { streams_max: None, retire_at: None };

/// The pool and what its shell would know: what every action led to.
pub(super) struct Rig {
    pub(super) pool: Pool<&'static str>,
    pub(super) now: Instant,
    /// Answered waiters and with what.
    pub(super) served: BTreeMap<WaiterId, Served>,
    /// Dials under way.
    pub(super) dialing: Vec<ConnId>,
    /// Connections told to close.
    pub(super) closing: Vec<(ConnId, CloseCause)>,
    pub(super) aborted: Vec<ConnId>,
    pub(super) key_of: BTreeMap<ConnId, &'static str>,
    last_waiter: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    By(ConnId, Reuse),
    Failed(ConnId),
    Refused,
}

impl Rig {
    pub(super) fn new(config: PoolConfig) -> Self {
        Self {
            pool: Pool::new(config),
            now: Instant::now(),
            served: BTreeMap::new(),
            dialing: Vec::new(),
            closing: Vec::new(),
            aborted: Vec::new(),
            key_of: BTreeMap::new(),
            last_waiter: 0,
        }
    }

    pub(super) fn limited(max: usize) -> Self {
        Self::new(PoolConfig { max_conns_per_host: NonZeroUsize::new(max), ..config() })
    }

    pub(super) fn step(&mut self, event: Event<&'static str>) {
        let actions = self.pool.step(self.now, event);
        self.act(actions);
    }

    fn act(&mut self, actions: Actions) {
        for action in actions {
            match action {
                Action::Deliver { waiter, conn, reuse } => self.serve(waiter, Served::By(conn, reuse)),
                Action::Fail { waiter, conn } => self.serve(waiter, Served::Failed(conn)),
                Action::Refuse { waiter } => self.serve(waiter, Served::Refused),
                Action::Dial { conn, .. } => {
                    self.dialing.push(conn);
                    let key = self.pool.key_of(conn);
                    assert!(self.key_of.insert(conn, key).is_none(), "{conn:?} was dialed twice");
                }
                Action::AbortDial { conn } => self.aborted.push(conn),
                Action::Close { conn, cause } => self.closing.push((conn, cause)),
            }
        }
    }

    fn serve(&mut self, waiter: WaiterId, served: Served) {
        let before = self.served.insert(waiter, served);
        assert_eq!(before, None, "{waiter:?} was served twice");
    }

    pub(super) fn ask(&mut self, key: &'static str) -> WaiterId {
        self.last_waiter += 1;
        let waiter = WaiterId(self.last_waiter);
        let (taken, actions) = self.pool.take(self.now, &key);
        self.act(actions);
        match taken {
            Some((conn, reuse)) => self.serve(waiter, Served::By(conn, reuse)),
            None => self.step(Event::Checkout { waiter, key }),
        }
        waiter
    }

    /// Asks and expects a dial of its own, which succeeds.
    pub(super) fn open(&mut self, key: &'static str) -> ConnId {
        let waiter = self.ask(key);
        let conn = *self.dialing.last().expect("a dial");
        self.dialed(conn, HTTP1);
        assert_eq!(self.conn_of(waiter), Some(conn));
        conn
    }

    pub(super) fn dialed(&mut self, conn: ConnId, opened: Opened) {
        self.dialing.retain(|each| *each != conn);
        self.step(Event::Dialed { conn, opened });
    }

    pub(super) fn dial_failed(&mut self, conn: ConnId) {
        self.dialing.retain(|each| *each != conn);
        self.step(Event::DialFailed { conn });
    }

    pub(super) fn release(&mut self, conn: ConnId) {
        self.step(Event::Released { conn, reuse: Ok(()) });
    }

    /// The shell closed what it was told to.
    pub(super) fn finish_closing(&mut self) {
        for (conn, cause) in std::mem::take(&mut self.closing) {
            self.step(Event::Closed { conn, cause });
        }
    }

    pub(super) fn conn_of(&self, waiter: WaiterId) -> Option<ConnId> {
        match self.served.get(&waiter) {
            Some(Served::By(conn, _)) => Some(*conn),
            _ => None,
        }
    }

    pub(super) fn total(&self) -> ConnStats {
        self.pool.stats().0
    }

    pub(super) fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}
