//! What other threads tell a shard: which of its sessions have something to write, and to stop.
//!
//! Bounded without a limit of its own: a session is named here at most once until the shard has looked at it (its
//! dirty mark), so there are never more entries than connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::task::AtomicWaker;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::SlotKey;

/// What a shard is told besides "look at this session".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Orders {
    /// Let no more clients in.
    pub(crate) is_accepting_over: bool,
    /// Let running requests finish until then, close everything and end.
    pub(crate) stop_by: Option<Instant>,
}

/// The inbox of one shard.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    waker: AtomicWaker,
    has_news: AtomicBool,
    contents: Mutex<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    slots: Vec<SlotKey>,
    orders: Orders,
    /// Who wants to know that the shard takes its turns: one at a time.
    echo: Option<oneshot::Sender<()>>,
}

impl Inbox {
    /// Tells the shard to look at one session.
    pub(crate) fn wake_slot(&self, slot: SlotKey) {
        self.lock().slots.push(slot);
        self.ring();
    }

    /// Tells the shard to look at many sessions.
    pub(crate) fn wake_slots(&self, mut slots: Vec<SlotKey>) {
        {
            let mut contents = self.lock();
            if contents.slots.is_empty() {
                contents.slots = slots;
            } else {
                contents.slots.append(&mut slots);
            }
        }
        self.ring();
    }

    /// Tells the shard to let no more clients in.
    pub(crate) fn stop_accepting(&self) {
        self.lock().orders.is_accepting_over = true;
        self.ring();
    }

    /// Tells the shard to end by `deadline`; of two the earlier stands.
    pub(crate) fn stop(&self, deadline: Instant) {
        {
            let stop_by = &mut self.lock().orders.stop_by;
            *stop_by = Some(stop_by.map_or(deadline, |earlier| earlier.min(deadline)));
        }
        self.ring();
    }

    /// Asks the shard to answer from its next turn. Whoever asked before is answered no more.
    pub(crate) fn ask(&self) -> oneshot::Receiver<()> {
        let (echo, answered) = oneshot::channel();
        self.lock().echo = Some(echo);
        self.ring();
        answered
    }

    /// Registers whom to wake, then tells whether there is news already.
    pub(crate) fn poll_news(&self, waker: &std::task::Waker) -> bool {
        self.waker.register(waker);
        self.has_news.load(Ordering::Acquire)
    }

    /// Takes the sessions named since, into `slots`, whose buffer is swapped in to be used again. Orders stand until
    /// the shard ends, so they are only read.
    pub(crate) fn take(&self, slots: &mut Vec<SlotKey>) -> Orders {
        self.has_news.store(false, Ordering::Release);
        let mut contents = self.lock();
        std::mem::swap(&mut contents.slots, slots);
        if let Some(echo) = contents.echo.take() {
            // Whoever asked may have given up.
            echo.send(()).ok();
        }
        contents.orders
    }

    fn ring(&self) {
        if !self.has_news.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
