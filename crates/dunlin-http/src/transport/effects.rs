//! What the pool wants done: found out under the lock, done after it, since it wakes, spawns and drops, and so may come
//! back for the lock.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::{AbortHandle, Abortable};
use smallvec::SmallVec;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::shared::{Delivery, Dialing, Shared, State, Warmed};
use super::tasks;
use crate::conn::{Conn, Lease, Sender};
use crate::dial::Order;
use crate::error::{Error, ErrorKind};
use crate::pool::{Action, Actions, ConnId, Reuse, WaiterId};
use crate::stats::CloseCause;

/// What an event brings besides itself, and what comes back.
#[derive(Default)]
pub(super) struct Want {
    /// Why the dial failed.
    pub(super) dial_error: Option<Error>,
    /// What is to be dialed for nobody, and how those dials will have gone.
    pub(super) warm: Option<Order>,
    pub(super) warming: Vec<oneshot::Receiver<Result<(), Error>>>,
}

pub(super) enum Effect {
    /// With what the waiter would have had dialed, which is its user's to drop.
    Tell(oneshot::Sender<Delivery>, Delivery, Option<Box<Order>>),
    Spawn(Option<Handle>, Pin<Box<dyn Future<Output = ()> + Send>>),
    Close {
        conn: Arc<Conn>,
        sender: Option<Sender>,
        cause: CloseCause,
    },
}

pub(super) type Effects = SmallVec<[Effect; 1]>;

impl Shared {
    /// Finds what the actions stand for.
    pub(super) fn carry_out(&self, state: &mut State, actions: Actions, want: &mut Want) -> Effects {
        let mut effects = Effects::new();
        for action in actions {
            match action {
                Action::Deliver { waiter, conn, reuse } => {
                    let delivery = self.lease(state, conn, reuse);
                    settle(state, waiter, delivery, &mut effects);
                }
                Action::Fail { waiter, .. } => {
                    let error = want.dial_error.take().unwrap_or_else(|| Error::new(ErrorKind::Dial));
                    settle(state, waiter, Err(error), &mut effects);
                }
                // Told at once to the one that asks, which waits nowhere.
                Action::Refuse { .. } => {}
                Action::Dial { conn, waiter } => {
                    let spawn = self.begin_dial(state, conn, waiter, want);
                    effects.extend(spawn);
                }
                Action::AbortDial { conn } => {
                    if let Some(dial) = state.dials.get(&conn) {
                        dial.abort.abort();
                    }
                }
                Action::Close { conn, cause } => {
                    if let Some(entry) = state.conns.get_mut(conn) {
                        let (conn, sender) = (entry.conn.clone(), entry.sender.take());
                        effects.push(Effect::Close { conn, sender, cause });
                    }
                }
            }
        }
        effects.extend(self.schedule_sweep(state));
        effects
    }

    /// Does what was found.
    pub(super) fn run(&self, effects: Effects) {
        for effect in effects {
            match effect {
                // A waiter that has gone meanwhile drops its lease, which gives the connection back.
                Effect::Tell(tell, delivery, _order) => drop(tell.send(delivery)),
                Effect::Spawn(Some(runtime), task) => drop(runtime.spawn(task)),
                Effect::Spawn(None, task) => drop(task),
                Effect::Close { conn, sender, cause } => {
                    // Without its sender an idle connection ends by itself, with a goodbye.
                    drop(sender);
                    match cause {
                        CloseCause::Exchange
                        | CloseCause::Cancelled
                        | CloseCause::Timeout
                        | CloseCause::Peer => conn.close(cause),
                        _ => conn.close_gently(cause),
                    }
                }
            }
        }
    }

    pub(super) fn lease(&self, state: &mut State, id: ConnId, reuse: Reuse) -> Delivery {
        let found = state.conns.get_mut(id).and_then(|entry| {
            let shared = entry.sender.as_ref().and_then(Sender::share);
            Some((entry.conn.clone(), shared.or_else(|| entry.sender.take())?))
        });
        match (found, self.me.upgrade()) {
            (Some((conn, sender)), Some(home)) => Ok(Lease::new(home, conn, sender, reuse)),
            _ => Err(Error::new(ErrorKind::ClosedByPeer)),
        }
    }

    fn begin_dial(
        &self,
        state: &mut State,
        conn: ConnId,
        waiter: Option<WaiterId>,
        want: &mut Want,
    ) -> Option<Effect> {
        let (order, warmed) = match waiter {
            Some(waiter) => (state.waiters.get_mut(&waiter)?.order.take()?, None),
            None => {
                let (warmed, warming): (Warmed, _) = oneshot::channel();
                want.warming.push(warming);
                (want.warm.clone()?, Some(warmed))
            }
        };
        let (abort, registration) = AbortHandle::new_pair();
        state.dials.insert(conn, Dialing { abort, warmed });
        let dial = tasks::dial(self.me.clone(), conn, order);
        let runtime = self.runtime(state);
        Some(Effect::Spawn(
            runtime,
            Box::pin(async move {
                // An aborted dial tells of its end when it is dropped.
                Abortable::new(dial, registration).await.ok();
            }),
        ))
    }

    /// Has somebody look when the next idle connection is due.
    pub(super) fn schedule_sweep(&self, state: &mut State) -> Option<Effect> {
        let next = state.pool.next_deadline().map(Instant::from_std)?;
        match state.sweeps_at {
            Some(at) if at <= next => None,
            Some(_) => {
                self.sweep.notify_one();
                None
            }
            None => {
                state.sweeps_at = Some(next);
                let runtime = self.runtime(state);
                Some(Effect::Spawn(
                    runtime,
                    Box::pin(tasks::sweep(self.me.clone(), self.sweep.clone(), next)),
                ))
            }
        }
    }
}

/// Tells a waiter what it gets.
fn settle(state: &mut State, waiter: WaiterId, delivery: Delivery, effects: &mut Effects) {
    if let Some(waiting) = state.waiters.remove(&waiter) {
        effects.push(Effect::Tell(waiting.tell, delivery, waiting.order.map(Box::new)));
    } else {
        // It went while it was served: its lease goes back when it is dropped, outside of the lock.
        let (tell, _) = oneshot::channel();
        effects.push(Effect::Tell(tell, delivery, None));
    }
}
