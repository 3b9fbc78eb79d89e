//! What each event does to the pool.

use std::hash::Hash;
use std::time::Instant;

use super::{Action, Actions, Conn, ConnId, Host, Opened, Phase, Pool, Reuse, Waiter, WaiterId};
use crate::config::{Http2AtLimit, OnCancelDial};
use crate::limits::QUIET_HOSTS_MAX;
use crate::stats::{CloseCause, ConnStats};

impl<K: Hash + Eq + Clone> Pool<K> {
    pub(super) fn checkout(&mut self, waiter: WaiterId, key: K, actions: &mut Actions) {
        self.keeps_nothing = false;
        let host = self.host_of(key);
        let Some(state) = self.keys.get_mut(host) else { return };
        if state.idle_waiters.len() >= self.config.waiting_max {
            actions.push(Action::Refuse { waiter });
            return;
        }
        state.idle_waiters.insert(waiter);
        state.dial_waiters.insert(waiter);
        self.waiters.insert(waiter, Waiter { host, dial: None });
        self.fill_dials(host, actions);
    }

    pub(super) fn cancelled(&mut self, waiter: WaiterId, actions: &mut Actions) {
        let Some(Waiter { host, dial }) = self.forget_waiter(waiter) else { return };
        // The dial made for it goes on for whoever comes next, unless it is to be given up and nobody else waits.
        let is_wanted = self.config.on_cancel_dial == OnCancelDial::Keep
            || self.keys.get(host).is_some_and(|state| !state.idle_waiters.is_empty());
        if let Some(id) = dial
            && let Some(Conn { phase: Phase::Dialing { waiter, is_aborted }, .. }) = self.conns.get_mut(id)
        {
            *waiter = None;
            if !is_wanted && !std::mem::replace(is_aborted, true) {
                actions.push(Action::AbortDial { conn: id });
            }
        }
        self.rest(host);
    }

    pub(super) fn dialed(&mut self, now: Instant, id: ConnId, opened: Opened, actions: &mut Actions) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Phase::Dialing { waiter, .. } = conn.phase else { return };
        conn.phase = Phase::Open;
        conn.streams_max = opened.streams_max;
        conn.retire_at = opened.retire_at;
        let host = conn.host;
        let is_shared = conn.streams_max.is_some() && self.config.keeps_idle();
        if let (true, Some(state)) = (is_shared, self.keys.get_mut(host)) {
            state.shared.push_back(id);
        }
        self.count(id, |stats| stats.opened += 1);
        if let Some(waiter) = waiter.filter(|waiter| self.waiters.contains_key(waiter)) {
            self.deliver(id, waiter, Reuse::default(), actions);
            if is_shared {
                self.serve_waiters(id, actions);
            }
            return;
        }
        if let Err(cause) = self.keep(now, id, actions) {
            self.close(id, cause, actions);
        }
    }

    pub(super) fn dial_failed(&mut self, id: ConnId, actions: &mut Actions) {
        let Some(Conn { phase: Phase::Dialing { waiter, .. }, host, .. }) = self.conns.get(id) else {
            return;
        };
        let (waiter, host) = (*waiter, *host);
        self.count(id, |stats| stats.dials_failed += 1);
        self.conns.remove(id);
        if let Some(waiter) = waiter
            && self.forget_waiter(waiter).is_some()
        {
            actions.push(Action::Fail { waiter, conn: id });
        }
        self.free_slot(host, actions);
    }

    pub(super) fn released(
        &mut self,
        now: Instant,
        id: ConnId,
        reuse: Result<(), CloseCause>,
        actions: &mut Actions,
    ) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.phase != Phase::Open || conn.exchanges == 0 {
            return;
        }
        conn.exchanges -= 1;
        let aged = conn.retire_at.filter(|at| *at <= now).map(|_| CloseCause::MaxLifetime);
        let verdict = match (reuse, conn.retired.or(aged)) {
            (Err(cause), _) | (Ok(()), Some(cause)) => Err(cause),
            (Ok(()), None) => self.keep(now, id, actions),
        };
        if let Err(cause) = verdict {
            self.retire(id, cause, actions);
        }
    }

    pub(super) fn retire(&mut self, id: ConnId, cause: CloseCause, actions: &mut Actions) {
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.phase == Phase::Open) else { return };
        conn.retired.get_or_insert(cause);
        let (host, is_free, is_shared) = (conn.host, conn.exchanges == 0, conn.streams_max.is_some());
        self.unlist(id);
        if is_free {
            self.close(id, cause, actions);
        } else if is_shared {
            // It no longer counts as one that could be waited for.
            self.fill_dials(host, actions);
        }
    }

    pub(super) fn closed(&mut self, id: ConnId, cause: CloseCause, actions: &mut Actions) {
        let Some(conn) = self.conns.get(id) else { return };
        if matches!(conn.phase, Phase::Dialing { .. }) {
            return self.dial_failed(id, actions);
        }
        let (host, retired) = (conn.host, conn.retired);
        self.unlist(id);
        self.count(id, |stats| stats.closed.add(retired.unwrap_or(cause)));
        self.conns.remove(id);
        self.free_slot(host, actions);
    }

    pub(super) fn streams_changed(&mut self, id: ConnId, streams_max: usize, actions: &mut Actions) {
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.phase == Phase::Open) else { return };
        conn.streams_max = Some(streams_max);
        if conn.retired.is_none() {
            self.serve_waiters(id, actions);
        }
    }

    pub(super) fn close_idle(&mut self, actions: &mut Actions) {
        self.keeps_nothing = true;
        for id in self.idle.ids(&self.conns) {
            self.retire(id, CloseCause::CloseIdle, actions);
        }
        let mut orphans = Vec::new();
        for (id, conn) in self.conns.iter_mut() {
            if let Phase::Dialing { waiter: None, is_aborted } = &mut conn.phase
                && !std::mem::replace(is_aborted, true)
            {
                orphans.push(id);
            }
        }
        orphans.sort_unstable();
        actions.extend(orphans.into_iter().map(|conn| Action::AbortDial { conn }));
    }

    pub(super) fn warm(&mut self, key: K, count: usize, actions: &mut Actions) {
        self.keeps_nothing = false;
        let host = self.host_of(key);
        let wanted = count.min(self.idle_max_of_host()).min(self.config.max_idle.unwrap_or(usize::MAX));
        let coming = self.conns.values().filter(|conn| {
            conn.host == host && matches!(conn.phase, Phase::Dialing { waiter: None, is_aborted: false })
        });
        let there = coming.count() + self.keys.get(host).map_or(0, |state| state.stats.idle);
        for _ in there..wanted {
            if !self.has_free_slot(host) {
                break;
            }
            self.dial(host, None, actions);
        }
        self.rest(host);
    }

    /// Gives leave to dial to those who wait for it, in order, as far as slots go.
    fn fill_dials(&mut self, host: usize, actions: &mut Actions) {
        while self.may_dial(host) {
            let Some(waiter) = self.keys.get_mut(host).and_then(|state| state.dial_waiters.pop_first())
            else {
                break;
            };
            self.dial(host, Some(waiter), actions);
        }
    }

    fn may_dial(&self, host: usize) -> bool {
        let waits_for_streams = self.config.http2_at_limit == Http2AtLimit::Wait
            && self.keys.get(host).is_some_and(|state| !state.shared.is_empty());
        self.has_free_slot(host) && !waits_for_streams
    }

    fn has_free_slot(&self, host: usize) -> bool {
        let open = self.keys.get(host).map_or(0, |state| state.open);
        self.config.max_conns_per_host.is_none_or(|max| open < max.get())
    }

    fn dial(&mut self, host: usize, waiter: Option<WaiterId>, actions: &mut Actions) {
        let Some(state) = self.keys.get_mut(host) else { return };
        state.open += 1;
        self.wake(host);
        let id = self.conns.insert(Conn {
            host,
            phase: Phase::Dialing { waiter, is_aborted: false },
            exchanges: 0,
            streams_max: None,
            retire_at: None,
            idle_since: None,
            is_used: false,
            retired: None,
        });
        if let Some(waiting) = waiter.and_then(|waiter| self.waiters.get_mut(&waiter)) {
            waiting.dial = Some(id);
        }
        actions.push(Action::Dial { conn: id, waiter });
    }

    /// Begins an exchange of a waiter on a connection.
    pub(super) fn deliver(&mut self, id: ConnId, waiter: WaiterId, reuse: Reuse, actions: &mut Actions) {
        self.forget_waiter(waiter);
        self.begin_exchange(id);
        if reuse.is_reused {
            self.count(id, |stats| stats.reused += 1);
        }
        actions.push(Action::Deliver { waiter, conn: id, reuse });
    }

    /// Tells the shell to close; the slot stays taken until it has.
    pub(super) fn close(&mut self, id: ConnId, cause: CloseCause, actions: &mut Actions) {
        self.unlist(id);
        if let Some(conn) = self.conns.get_mut(id) {
            conn.phase = Phase::Closing;
            conn.retired.get_or_insert(cause);
            actions.push(Action::Close { conn: id, cause });
        }
    }

    fn free_slot(&mut self, host: usize, actions: &mut Actions) {
        if let Some(state) = self.keys.get_mut(host) {
            debug_assert!(state.open > 0, "a slot was freed twice");
            state.open = state.open.saturating_sub(1);
        }
        self.fill_dials(host, actions);
        self.rest(host);
    }

    /// Takes a waiter out of both queues; `None` when it was served before.
    fn forget_waiter(&mut self, id: WaiterId) -> Option<Waiter> {
        let waiter = self.waiters.remove(&id)?;
        if let Some(state) = self.keys.get_mut(waiter.host) {
            state.idle_waiters.remove(&id);
            state.dial_waiters.remove(&id);
        }
        Some(waiter)
    }

    fn host_of(&mut self, key: K) -> usize {
        if let Some(host) = self.by_key.get(&key) {
            return *host;
        }
        let host = self.keys.insert(Host {
            key: key.clone(),
            open: 0,
            idle: std::collections::VecDeque::new(),
            shared: std::collections::VecDeque::new(),
            idle_waiters: std::collections::BTreeSet::new(),
            dial_waiters: std::collections::BTreeSet::new(),
            stats: ConnStats::default(),
            is_quiet: false,
        });
        self.by_key.insert(key, host);
        host
    }

    /// A host that has something again is no longer quiet.
    fn wake(&mut self, host: usize) {
        let Some(state) = self.keys.get_mut(host) else { return };
        if std::mem::replace(&mut state.is_quiet, false) {
            self.quiet.retain(|each| *each != host);
        }
    }

    /// Remembers the counters of a host that has nothing left, and forgets those of the one quiet for longest.
    fn rest(&mut self, host: usize) {
        let Some(state) = self.keys.get_mut(host) else { return };
        if state.is_quiet || state.open > 0 || !state.idle_waiters.is_empty() {
            return;
        }
        state.is_quiet = true;
        self.quiet.push_back(host);
        if self.quiet.len() > QUIET_HOSTS_MAX
            && let Some(oldest) = self.quiet.pop_front()
            && let Some(gone) = self.keys.try_remove(oldest)
        {
            self.by_key.remove(&gone.key);
        }
    }

    /// Counts something for the connection's host and in total.
    pub(super) fn count(&mut self, id: ConnId, add: impl Fn(&mut ConnStats)) {
        add(&mut self.totals);
        let host = self.conns.get(id).map(|conn| conn.host);
        if let Some(state) = host.and_then(|host| self.keys.get_mut(host)) {
            add(&mut state.stats);
        }
    }
}
