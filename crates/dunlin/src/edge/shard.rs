//! The only async code of the edge: await news, take a turn, let others run.
//!
//! A shard of sockets owns a thread with a single-threaded tokio runtime; the in-process shard is a task of whoever
//! starts it. Both run [`Shard::run`].

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Inbox;
use super::net::Net;
use super::turn::{Shop, Turn};
use super::wheel::TICK_MS;
use crate::app::{ShardStats, Shared};
use crate::service::{Router, RoutesByCode};

/// Turns after which the runtime's timers, sockets and other tasks are looked at in any case.
const TURNS_IN_A_ROW_MAX: u32 = 8;

/// What sessions and groups know of a shard.
pub(crate) struct ShardHandle {
    pub(crate) index: usize,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) app: Arc<Shared>,
    /// This shard's own copy of the routes, so that shards do not contend for their reference counts.
    pub(crate) router: Router,
    pub(crate) routes_by_code: RoutesByCode,
    pub(crate) stats: Arc<ShardStats>,
}

/// A shard that is ready to run.
pub(crate) struct Shard<N: Net> {
    shop: Shop<N>,
    ticks: Interval,
}

impl<N: Net> Shard<N> {
    /// Must be called within the runtime the shard will run on.
    pub(crate) fn new(net: N, handle: Arc<ShardHandle>) -> Self {
        let mut ticks = interval(Duration::from_millis(TICK_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { shop: Shop::new(net, handle), ticks }
    }

    /// Serves until the shard is told to stop.
    ///
    /// # Errors
    ///
    /// When the operating system refuses to say which sockets are ready.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        // The shard has budgets of its own; tokio's would make every handler of a long turn seem to wait.
        tokio::task::coop::unconstrained(async move {
            let mut turns_in_a_row = 0;
            loop {
                let turn = poll_fn(|cx| {
                    // The wheel is advanced by each turn; the tick only wakes an idle shard for it.
                    let is_tick = self.ticks.poll_tick(cx).is_ready();
                    match self.shop.turn(cx) {
                        Ok(Turn::Idle) if is_tick => Poll::Ready(Ok(Turn::Done)),
                        Ok(Turn::Idle) => {
                            turns_in_a_row = 0;
                            Poll::Pending
                        }
                        other => Poll::Ready(other),
                    }
                })
                .await?;
                turns_in_a_row += 1;
                match turn {
                    // Who pushes from another thread can keep turns coming for ever.
                    Turn::Idle | Turn::Done if turns_in_a_row < TURNS_IN_A_ROW_MAX => {}
                    Turn::Idle | Turn::Done | Turn::More => {
                        turns_in_a_row = 0;
                        tokio::task::yield_now().await;
                    }
                    Turn::Stopped => return Ok(()),
                }
            }
        })
        .await
    }
}
