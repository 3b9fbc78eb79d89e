//! One shard's connections and its turns: news in, agents fed, output written, all within budgets.
//!
//! `write.rs` puts output on sockets and keeps what they do not take, `table.rs` holds the connections.
//!
//! Generic over the network, so that everything here runs without sockets. A turn does a bounded amount of work and
//! says whether some is left; between turns the shard's runtime serves its timers and tasks.
//!
//! Invariants: output of one connection in one step leaves in one write; what the socket does not take is kept in
//! the slot and counted against the session's queue; a connection that is blocked is not read; a panic while one
//! connection is served ends that connection alone.

mod table;
#[cfg(test)]
mod tests;
mod write;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use dunlin_wire::Millis;
use tokio::time::Instant;

use self::table::{Slot, Table};
use super::agent::{Agent, Fx, UserCode};
use super::calls::Aside;
use super::drain::Drain;
use super::net::{Accepted, Conn, Event, Net};
use super::wheel::{TICK_MS, Tick, Wheel};
use super::{ShardHandle, SlotKey};
use crate::session::{CloseReason, Session};

/// Pieces of news handled in one turn: with about 4 us each, a turn stays near half a millisecond.
pub(crate) const EVENTS_MAX: usize = 128;
/// Connections accepted in one turn.
const ACCEPTS_MAX: usize = 64;
/// Sessions whose queued output is written in one turn.
const SENDS_MAX: usize = 256;
/// Connections that are read again because they had more than one buffer of input.
const HOT_MAX: usize = 128;
/// Connections that are told the time in one turn.
const TICKS_MAX: usize = 256;
/// Packets taken in each part of a turn; about half a millisecond's worth when handlers do next to nothing. Bytes read count
/// as packets too, see [`BYTES_PER_CREDIT`].
const CREDIT: u32 = 1024;
/// So many bytes read cost as much as one packet.
const BYTES_PER_CREDIT: usize = 512;
/// Outcomes of waiting calls taken in one turn.
const DONE_MAX: usize = 256;
/// The read buffer of a shard, and the write buffer it falls back to.
const SCRATCH_LEN: usize = 64 * 1024;

/// How a turn went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing was there to do; the task will be woken.
    Idle,
    /// Something was done and nothing is known to be left.
    Done,
    /// A budget ran out: take another turn after letting others run.
    More,
    /// The shard was told to stop and has.
    Stopped,
}

/// All connections of one shard and what they have to do.
pub(crate) struct Shop<N: Net> {
    net: N,
    table: Table<N::Conn>,
    shard: Arc<ShardHandle>,
    user: UserCode,
    started: Instant,
    wheel: Wheel,
    scratch_in: Box<[u8]>,
    scratch_out: Vec<u8>,
    events: Vec<Event>,
    due: VecDeque<(u32, Tick)>,
    /// Packets that may still be taken in this part of the turn.
    credit: u32,
    inbox_slots: Vec<SlotKey>,
    dirty: VecDeque<SlotKey>,
    hot: VecDeque<SlotKey>,
    stop: Option<Instant>,
    /// How fast connections are told to go then, and those that were not told yet.
    drain: Option<Box<(Drain, VecDeque<SlotKey>)>>,
}

impl<N: Net> Shop<N> {
    pub(crate) fn new(net: N, shard: Arc<ShardHandle>) -> Self {
        let timeout = shard.app.gate.request_timeout;
        Self {
            net,
            table: Table::new(),
            user: UserCode {
                calls: Aside::new(timeout),
                starters: shard.router.starters(),
                admissions: Aside::new(timeout),
            },
            shard,
            started: Instant::now(),
            wheel: Wheel::new(),
            scratch_in: vec![0; SCRATCH_LEN].into_boxed_slice(),
            scratch_out: Vec::with_capacity(SCRATCH_LEN),
            events: Vec::with_capacity(EVENTS_MAX),
            due: VecDeque::new(),
            credit: CREDIT,
            inbox_slots: Vec::new(),
            dirty: VecDeque::new(),
            hot: VecDeque::new(),
            stop: None,
            drain: None,
        }
    }

    /// Takes one turn. Every source of work registers the task's waker before it is looked at.
    pub(crate) fn turn(&mut self, cx: &mut Context<'_>) -> io::Result<Turn> {
        let now = self.now();
        let mut is_more = false;
        let mut is_any = self.take_inbox(cx);
        // Each source has a credit of its own, so that none of them can starve the others.
        self.credit = CREDIT;
        is_any |= self.take_done(cx, now, &mut is_more);
        self.credit = CREDIT;
        is_any |= self.read_hot(now);
        self.credit = CREDIT;
        is_any |= self.take_events(cx, now, &mut is_more)?;
        self.credit = CREDIT;
        is_any |= self.accept(now, &mut is_more);
        is_any |= self.write_dirty(now);
        is_any |= self.take_ticks(now);
        self.drain_due(now);
        is_more |= !self.hot.is_empty() || !self.dirty.is_empty() || !self.due.is_empty();
        if self.is_stopped(now) {
            return Ok(Turn::Stopped);
        }
        Ok(match (is_more, is_any) {
            (true, _) => Turn::More,
            (false, true) => Turn::Done,
            (false, false) => Turn::Idle,
        })
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn take_inbox(&mut self, cx: &Context<'_>) -> bool {
        if !self.shard.inbox.poll_news(cx.waker()) {
            return false;
        }
        let orders = self.shard.inbox.take(&mut self.inbox_slots);
        self.dirty.extend(self.inbox_slots.drain(..));
        if self.inbox_slots.capacity() > 4 * SENDS_MAX {
            self.inbox_slots = Vec::new();
        }
        if orders.is_accepting_over {
            self.net.stop_accepting();
        }
        if let Some(deadline) = orders.stop_by {
            self.begin_stop(deadline);
        }
        true
    }

    fn begin_stop(&mut self, deadline: Instant) {
        self.net.stop_accepting();
        if self.stop.replace(deadline).is_none() {
            let now = self.now();
            let leaving: VecDeque<SlotKey> = self.table.keys().into();
            // Those that are told last still have as long as those that are told first.
            let time_ms = u64::try_from(deadline.saturating_duration_since(Instant::now()).as_millis());
            let window_ms = self.shard.app.gate.drain_window_ms.min(time_ms.unwrap_or(u64::MAX) / 2);
            let drain = Drain::new(now, window_ms, leaving.len());
            self.drain = Some(Box::new((drain, leaving)));
            self.drain_due(now);
        }
    }

    /// Tells the connections to go whose turn it is, when the shard stops.
    fn drain_due(&mut self, now: Millis) {
        let Some(mut draining) = self.drain.take() else { return };
        let (drain, leaving) = &mut *draining;
        for _ in 0..drain.due(now) {
            let Some(key) = leaving.pop_front() else { break };
            self.step(key, now, |agent, fx| agent.begin_drain(fx));
        }
        if !drain.is_over() {
            self.drain = Some(draining);
        }
    }

    /// Whether the shard was told to stop and nothing is left, or its time is over.
    fn is_stopped(&mut self, now: Millis) -> bool {
        let Some(deadline) = self.stop else { return false };
        if !self.table.is_empty() && Instant::now() >= deadline {
            for key in self.table.keys() {
                self.step(key, now, |agent, fx| {
                    agent.leave(&CloseReason::Shutdown, fx);
                    agent.vanish(&CloseReason::Shutdown, fx);
                });
            }
        }
        self.table.is_empty()
    }

    fn take_done(&mut self, cx: &mut Context<'_>, now: Millis, is_more: &mut bool) -> bool {
        let mut count = 0;
        while count < DONE_MAX {
            // Admissions first: there are few of them, and calls may be without end.
            if let Some(done) = self.user.admissions.poll_done(cx) {
                self.step(done.key, now, |agent, fx| agent.handle_admission(done.outcome, done.label, fx));
            } else if let Some(done) = self.user.calls.poll_done(cx) {
                self.step(done.key, now, |agent, fx| agent.handle_done(done, fx));
            } else {
                return count > 0;
            }
            count += 1;
        }
        *is_more = true;
        true
    }

    fn take_events(&mut self, cx: &mut Context<'_>, now: Millis, is_more: &mut bool) -> io::Result<bool> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        let polled = self.net.poll_events(cx, &mut events, EVENTS_MAX);
        for event in &events {
            if event.is_writable {
                self.write_unsent(event.key, now);
            }
            if event.is_readable || event.is_closed {
                self.note_end(event, now);
                self.read(event.key, now);
            }
        }
        self.events = events;
        match polled {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(more)) => {
                *is_more |= more;
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    fn read_hot(&mut self, now: Millis) -> bool {
        let count = self.hot.len().min(HOT_MAX);
        for _ in 0..count {
            if self.credit == 0 {
                break;
            }
            let Some(key) = self.hot.pop_front() else { break };
            let Some(slot) = self.table.get_mut(key) else { continue };
            slot.is_hot = false;
            if slot.agent.wants_turn(false, &self.shard.app) {
                self.step(key, now, |agent, fx| agent.handle_leftover(fx));
            }
            self.read(key, now);
        }
        count > 0
    }

    fn accept(&mut self, now: Millis, is_more: &mut bool) -> bool {
        let mut count = 0;
        while count < ACCEPTS_MAX {
            let Some(Accepted { conn, permit }) = self.net.accept(now.0) else { return count > 0 };
            count += 1;
            let agent = Agent::new(now, &self.shard.app);
            let key = self.table.insert(Slot::new(conn, permit, agent));
            let Some(slot) = self.table.get_mut(key) else { continue };
            if let Err(error) = self.net.register(&mut slot.conn, key) {
                tracing::warn!(%error, "a new connection could not be watched and was dropped");
                self.table.remove(key);
                continue;
            }
            self.shard.stats.connections.add(1);
            let deadline_ms = now.0.saturating_add(self.shard.app.gate.handshake_timeout_ms);
            self.arm_no_later(key, deadline_ms);
            // The client may have spoken before it was watched.
            self.read(key, now);
        }
        *is_more = true;
        true
    }

    fn write_dirty(&mut self, now: Millis) -> bool {
        let count = self.dirty.len().min(SENDS_MAX);
        for _ in 0..count {
            let Some(key) = self.dirty.pop_front() else { break };
            let Some(slot) = self.table.get_mut(key) else { continue };
            // What it had to say may have gone out with an answer.
            if slot.agent.session().is_some_and(Session::has_output) {
                self.step(key, now, |_, _| {});
            }
        }
        if self.dirty.is_empty() && self.dirty.capacity() > 4 * SENDS_MAX {
            self.dirty = VecDeque::new();
        }
        count > 0
    }

    fn take_ticks(&mut self, now: Millis) -> bool {
        let tick = Tick::try_from(now.0 / TICK_MS).unwrap_or(Tick::MAX);
        self.wheel.advance(tick, &mut self.due);
        let count = self.due.len().min(TICKS_MAX);
        for _ in 0..count {
            let Some((index, at)) = self.due.pop_front() else { break };
            self.tick(index, at, now);
        }
        if self.due.is_empty() {
            self.due.shrink_to(64);
        }
        count > 0
    }

    /// Tells the time to whoever is in a place whose entry came up, unless the entry is out of date.
    fn tick(&mut self, index: u32, at: Tick, now: Millis) {
        match self.table.armed_mut(index) {
            Some(armed) if *armed == at => *armed = 0,
            _ => return,
        }
        let write_timeout_ms = self.shard.app.gate.write_timeout_ms;
        let Some(key) = self.table.tenant(index) else { return };
        let Some(slot) = self.table.get_mut(key) else { return };
        let stalled_until = slot.unsent.as_ref().map(|unsent| unsent.progress_at.plus(write_timeout_ms));
        let mut next = stalled_until;
        let is_stalled = stalled_until.is_some_and(|deadline| now >= deadline);
        self.step(key, now, |agent, fx| {
            if is_stalled {
                agent.vanish(&CloseReason::TooSlow, fx);
            } else {
                let wanted = agent.handle_tick(fx);
                next = Some(next.map_or(wanted, |deadline| deadline.min(wanted)));
            }
        });
        if let Some(next) = next {
            self.arm_no_later(key, next.0);
        }
    }

    /// Takes note of an end: the peer's, which is read when all before it is, or that of the whole connection, which ends
    /// one that is not read at the moment at once.
    fn note_end(&mut self, event: &Event, now: Millis) {
        let Some(slot) = self.table.get_mut(event.key) else { return };
        slot.is_ended |= event.is_closed;
        if event.is_lost && !slot.may_read(&self.shard.app) {
            self.step(event.key, now, |agent, fx| agent.vanish(&CloseReason::ByClient, fx));
        }
    }

    /// Reads a connection once and feeds its agent. A full buffer, or an end that is still to come, is read again in
    /// the next turn, so that one connection cannot keep the shard.
    fn read(&mut self, key: SlotKey, now: Millis) {
        let Some(slot) = self.table.get_mut(key) else { return };
        if !slot.may_read(&self.shard.app) {
            slot.is_unread = true;
            return;
        }
        if self.credit == 0 {
            slot.is_unread = true;
            return slot.heat(key, &mut self.hot);
        }
        slot.is_unread = false;
        let cost = 1 + slot.conn.read_cost();
        match slot.conn.read(&mut self.scratch_in) {
            Ok(0) => self.step(key, now, |agent, fx| agent.vanish(&CloseReason::ByClient, fx)),
            Ok(len) => {
                let cost = cost.saturating_add(u32::try_from(len / BYTES_PER_CREDIT).unwrap_or(u32::MAX));
                self.credit = self.credit.saturating_sub(cost).max(1);
                if len == self.scratch_in.len() || slot.is_ended || slot.conn.is_ended() {
                    slot.heat(key, &mut self.hot);
                }
                let mut scratch = std::mem::take(&mut self.scratch_in);
                if let Some(bytes) = scratch.get_mut(..len) {
                    self.step(key, now, |agent, fx| agent.handle_bytes(bytes, fx));
                }
                self.scratch_in = scratch;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.credit = self.credit.saturating_sub(cost);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => slot.heat(key, &mut self.hot),
            Err(error) => {
                tracing::debug!(%error, "a connection was lost");
                self.step(key, now, |agent, fx| agent.vanish(&CloseReason::ByClient, fx));
            }
        }
        let is_holding = |slot: &mut Slot<N::Conn>| slot.unsent.is_none() && slot.conn.holds_back();
        if self.table.get_mut(key).is_some_and(is_holding) {
            // The read itself had something to say, as in a handshake of TLS.
            self.block(key, now, &[]);
        }
    }

    /// Lets an agent work, then writes what it and its session have to say, then drops it if it is over.
    fn step(&mut self, key: SlotKey, now: Millis, work: impl FnOnce(&mut Agent, &mut Fx<'_>)) {
        let Some(slot) = self.table.get_mut(key) else { return };
        let mut out = std::mem::take(&mut self.scratch_out);
        out.clear();
        let tick_by = {
            let Slot { conn, agent, unsent, .. } = slot;
            let mut fx = Fx {
                now,
                key,
                shard: &self.shard,
                user: &mut self.user,
                out: &mut out,
                is_blocked: unsent.is_some(),
                credit: &mut self.credit,
                tick_by: None,
                peer: &|| conn.peer_addr(),
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                work(agent, &mut fx);
                agent.drain_session(&mut fx);
            }));
            if outcome.is_err() {
                tracing::error!("a connection was ended by a panic while it was served");
                self.shard.app.stats.panics.add(1);
                fx.out.clear();
                agent.vanish(&CloseReason::ByServer, &mut fx);
            }
            fx.tick_by
        };
        if let Some(by) = tick_by {
            self.arm_no_later(key, by.0);
        }
        if !out.is_empty() {
            self.write(key, now, &out);
        }
        if out.capacity() > 4 * SCRATCH_LEN {
            out = Vec::with_capacity(SCRATCH_LEN);
        }
        self.scratch_out = out;
        self.settle(key, now);
    }

    /// Does what a connection's state asks for after a step: read on, say goodbye, or be dropped.
    fn settle(&mut self, key: SlotKey, now: Millis) {
        let Some(slot) = self.table.get_mut(key) else { return };
        if slot.agent.is_gone() {
            self.drop_conn(key);
            return;
        }
        if slot.agent.is_leaving() {
            if slot.unsent.is_none() && !std::mem::replace(&mut slot.is_shut, true) {
                slot.conn.shutdown_write();
                // Whatever the client still sends is read and ignored, so that its kernel does not drop our last words
                // on a reset.
                slot.heat(key, &mut self.hot);
                let linger_ms = now.0.saturating_add(self.shard.app.gate.linger_ms);
                self.arm_no_later(key, linger_ms);
            }
            return;
        }
        if slot.unsent.is_some() {
            return;
        }
        if slot.agent.is_opened() && slot.agent.session().is_some_and(Session::has_output) {
            // More was queued than one step writes.
            self.dirty.push_back(key);
        }
        if slot.agent.wants_turn(slot.is_unread, &self.shard.app) {
            slot.heat(key, &mut self.hot);
        }
    }

    /// Brings the connection's next tick forward.
    fn arm_no_later(&mut self, key: SlotKey, deadline_ms: u64) {
        let tick = Wheel::tick_after(deadline_ms);
        if self.table.get_mut(key).is_none() {
            return;
        }
        if let Some(armed) = self.table.armed_mut(key.index)
            && (*armed == 0 || tick < *armed)
        {
            *armed = self.wheel.arm(key.index, tick);
        }
    }

    fn drop_conn(&mut self, key: SlotKey) {
        if let Some(mut slot) = self.table.remove(key) {
            self.net.deregister(&mut slot.conn);
            self.shard.stats.connections_closed.add(1);
        }
    }
}

impl<N: Net> Drop for Shop<N> {
    /// A shard that ends before its time still ends its sessions properly.
    fn drop(&mut self) {
        let now = self.now();
        for key in self.table.keys() {
            self.step(key, now, |agent, fx| agent.vanish(&CloseReason::Shutdown, fx));
        }
    }
}
