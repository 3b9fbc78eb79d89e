//! Connections between two requests: kept, found again, too many, too old.

use std::hash::Hash;
use std::time::Instant;

use super::{Actions, ConnId, Phase, Pool, Reuse, WaiterId};
use crate::config::{MaxIdlePerHost, ReuseOrder};
use crate::stats::CloseCause;

impl<K: Hash + Eq + Clone> Pool<K> {
    /// A connection that can take a request now, its exchange begun.
    pub(super) fn take_idle(
        &mut self,
        now: Instant,
        host: usize,
        actions: &mut Actions,
    ) -> Option<(ConnId, Reuse)> {
        loop {
            let id = self.pick(host)?;
            if let Some(cause) = self.overdue(now, id) {
                self.retire(id, cause, actions);
                continue;
            }
            let idle_since = self.conns.get(id).and_then(|conn| conn.idle_since);
            let idle_for = idle_since.map(|since| now.saturating_duration_since(since));
            self.begin_exchange(id);
            return Some((id, Reuse { is_reused: true, idle_for }));
        }
    }

    /// The idle HTTP/1 connection whose turn it is, else the HTTP/2 connection with room whose turn it is.
    fn pick(&self, host: usize) -> Option<ConnId> {
        let state = self.keys.get(host)?;
        let is_last = self.config.reuse_order == ReuseOrder::NewestFirst;
        let idle = if is_last { state.idle.back() } else { state.idle.front() };
        if let Some(id) = idle {
            return Some(*id);
        }
        state.shared.iter().copied().find(|id| self.has_room(*id))
    }

    fn has_room(&self, id: ConnId) -> bool {
        self.conns.get(id).is_some_and(|conn| {
            let most = conn.streams_max.unwrap_or(1);
            conn.phase == Phase::Open && conn.retired.is_none() && conn.exchanges < most
        })
    }

    /// Why an idle connection may no longer be used.
    fn overdue(&self, now: Instant, id: ConnId) -> Option<CloseCause> {
        let conn = self.conns.get(id)?;
        if conn.retire_at.is_some_and(|at| at <= now) {
            return Some(CloseCause::MaxLifetime);
        }
        let timeout = self.config.idle_timeout?;
        let is_idle_for = |since: Instant| now.saturating_duration_since(since);
        conn.idle_since.filter(|since| is_idle_for(*since) >= timeout).map(|_| CloseCause::IdleTimeout)
    }

    /// Offers a connection to those who wait, and keeps it if nobody takes it. `Err`: it is not to be kept.
    pub(super) fn keep(&mut self, now: Instant, id: ConnId, actions: &mut Actions) -> Result<(), CloseCause> {
        if !self.config.keeps_alive {
            return Err(CloseCause::KeepAlivesDisabled);
        }
        if !self.config.keeps_idle() {
            return Err(CloseCause::MaxIdlePerHost);
        }
        if let Some(conn) = self.conns.get_mut(id) {
            conn.is_used = true;
        }
        self.serve_waiters(id, actions);
        let Some(conn) = self.conns.get(id) else { return Ok(()) };
        if conn.exchanges > 0 {
            return Ok(());
        }
        if self.keeps_nothing {
            return Err(CloseCause::CloseIdle);
        }
        let state = self.keys.get(conn.host);
        if state.is_some_and(|state| state.stats.idle >= self.idle_max_of_host()) {
            return Err(CloseCause::MaxIdlePerHost);
        }
        self.list(now, id);
        if self.config.max_idle.is_some_and(|max| self.idle.len() > max)
            && let Some((_, oldest)) = self.idle.first()
        {
            self.retire(oldest, CloseCause::MaxIdle, actions);
        }
        Ok(())
    }

    /// Serves those who wait longest with what room the connection has.
    pub(super) fn serve_waiters(&mut self, id: ConnId, actions: &mut Actions) {
        while let Some(waiter) = self.next_waiter(id)
            && self.has_room(id)
        {
            let is_reused = self.conns.get(id).is_some_and(|conn| conn.is_used);
            self.deliver(id, waiter, Reuse { is_reused, idle_for: None }, actions);
        }
    }

    fn next_waiter(&self, id: ConnId) -> Option<WaiterId> {
        let host = self.conns.get(id)?.host;
        self.keys.get(host)?.idle_waiters.first().copied()
    }

    pub(super) fn begin_exchange(&mut self, id: ConnId) {
        let is_http1 = self.conns.get(id).is_some_and(|conn| conn.streams_max.is_none());
        self.unidle(id, is_http1);
        if let Some(conn) = self.conns.get_mut(id) {
            conn.exchanges += 1;
            conn.is_used = true;
        }
    }

    pub(super) fn idle_max_of_host(&self) -> usize {
        match self.config.max_idle_per_host {
            MaxIdlePerHost::Never => 0,
            MaxIdlePerHost::AtMost(max) => max,
            MaxIdlePerHost::Unlimited => usize::MAX,
        }
    }

    /// Makes a connection idle.
    fn list(&mut self, now: Instant, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.idle_since = Some(now);
        if let Some(at) = conn.retire_at {
            self.retire_at.insert((at, id));
        }
        if let Some(state) = self.keys.get_mut(conn.host) {
            state.stats.idle += 1;
            if conn.streams_max.is_none() {
                state.idle.push_back(id);
            }
        }
        self.idle.push(now, id, &self.conns);
    }

    /// Makes a connection idle no more; HTTP/1 leaves the list of its host too.
    fn unidle(&mut self, id: ConnId, is_leaving_list: bool) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.idle_since.take().is_none() {
            return;
        }
        if let Some(at) = conn.retire_at {
            self.retire_at.remove(&(at, id));
        }
        let host = conn.host;
        self.idle.remove_one(&self.conns);
        let Some(state) = self.keys.get_mut(host) else { return };
        state.stats.idle -= 1;
        if is_leaving_list {
            if state.idle.back() == Some(&id) {
                state.idle.pop_back();
            } else if state.idle.front() == Some(&id) {
                state.idle.pop_front();
            } else {
                state.idle.retain(|each| *each != id);
            }
        }
    }

    /// Takes a connection out of every list from which requests are served.
    pub(super) fn unlist(&mut self, id: ConnId) {
        self.unidle(id, true);
        let Some(conn) = self.conns.get(id).filter(|conn| conn.streams_max.is_some()) else { return };
        if let Some(state) = self.keys.get_mut(conn.host) {
            state.shared.retain(|each| *each != id);
        }
    }

    /// Closes what has been idle for too long or is too old.
    pub(super) fn tick(&mut self, now: Instant, actions: &mut Actions) {
        if let Some(timeout) = self.config.idle_timeout {
            while let Some((since, id)) = self.idle.first()
                && now.saturating_duration_since(since) >= timeout
            {
                self.retire(id, CloseCause::IdleTimeout, actions);
            }
        }
        while let Some((at, id)) = self.retire_at.first().copied()
            && at <= now
        {
            self.retire(id, CloseCause::MaxLifetime, actions);
        }
    }

    /// When the next idle connection is to be closed.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let timeout = self.config.idle_timeout;
        let idle = self.idle.first().and_then(|(since, _)| since.checked_add(timeout?));
        let aged = self.retire_at.first().map(|(at, _)| *at);
        idle.into_iter().chain(aged).min()
    }
}
