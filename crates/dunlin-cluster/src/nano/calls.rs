//! Calls to a Go node from a queue of frames: in order within a session, at the same time for several, each with a deadline.
//!
//! A call that was not answered in time may still be handled, so what follows it in its session could overtake it: the connection is given up with
//! it. One that answers nothing at all, not even that a session which never was is closed, is given up sooner.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::{MissedTickBehavior, interval_at};
use tonic::Status;

use super::convert::{Job, Waiting};
use super::lanes::Lanes;
use super::wire::{CallError, Wire};
use crate::config::Timing;
use crate::frame::Frame;
use crate::limits::{NANO_CALLS_OUT_MAX, NANO_CALLS_WAITING_MAX};
use crate::link::Batches;

/// What becomes of frames at one end.
pub(crate) trait Side: Send + Sync {
    /// A frame, as calls.
    fn handle_frame(&self, frame: Frame, jobs: &mut Vec<Job>);

    /// The node has taken a call, and this one of ours has waited for that.
    fn handle_taken(&self, call: u64);

    /// The node does not take a call; this one of ours waits for an answer, if it is not 0.
    fn handle_refused(&self, call: u64, status: &Status);
}

/// Why calls are made no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallsOver {
    #[error("the connection broke")]
    Broken,
    #[error("the node does not take a call in time")]
    TooSlow,
    #[error("nothing was heard of the node for too long")]
    Silent,
    #[error("nothing is to be sent any more")]
    Finished,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Calls {
    lanes: Lanes,
    batches: Batches,
}

/// A call that came back, or a probe.
struct Back {
    session: Option<i64>,
    waiting: Waiting,
    result: Result<(), CallError>,
}

impl Calls {
    pub(crate) fn new(batches: Batches) -> Self {
        Self { lanes: Lanes::default(), batches }
    }

    /// Makes calls for as long as the connection lives.
    pub(crate) async fn run(&mut self, wire: &Wire, side: &dyn Side, timing: Timing) -> CallsOver {
        let over = self.live(wire, side, timing).await;
        self.lanes.handle_broken();
        over
    }

    async fn live(&mut self, wire: &Wire, side: &dyn Side, timing: Timing) -> CallsOver {
        let mut out: FuturesUnordered<BoxFuture<'_, Back>> = FuturesUnordered::new();
        let mut probes = probes(timing.heartbeat * 2);
        let mut jobs = Vec::new();
        let mut is_probing = false;
        loop {
            while self.lanes.out() < NANO_CALLS_OUT_MAX
                && let Some(job) = self.lanes.pop()
            {
                out.push(call(wire, job).boxed());
            }
            let is_room = self.lanes.waiting() < NANO_CALLS_WAITING_MAX;
            tokio::select! {

                () = wire.broken() => return CallsOver::Broken,
                Some(back) = out.next(), if !out.is_empty() => {
                    match back.session {
                        Some(session) => self.lanes.handle_done(session),
                        None => is_probing = false,
                    }
                    match (back.result, back.session) {
                        (Ok(()), _) if back.waiting.taken != 0 => side.handle_taken(back.waiting.taken),
                        (Ok(()), _) => {}
                        (Err(CallError::Refused(status)), _) => side.handle_refused(back.waiting.refused, &status),
                        (Err(CallError::Broken), _) => return CallsOver::Broken,
                        (Err(CallError::TimedOut), Some(_)) => return CallsOver::TooSlow,
                        (Err(CallError::TimedOut), None) => return CallsOver::Silent,
                    }
                }
                batch = self.batches.next(), if is_room => match batch {
                    Some(batch) => {
                        batch.frames.into_iter().for_each(|frame| side.handle_frame(frame, &mut jobs));
                        jobs.drain(..).for_each(|job| self.lanes.push(job));
                    }
                    None => return CallsOver::Finished,
                },
                _ = probes.tick(), if !is_probing => {
                    is_probing = true;
                    out.push(probe(wire, timing.silence_max).boxed());
                }
            }
        }
    }
}

fn probes(period: Duration) -> tokio::time::Interval {
    let mut probes = interval_at(tokio::time::Instant::now() + period, period);
    probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    probes
}

async fn call(wire: &Wire, job: Job) -> Back {
    let (session, waiting) = (Some(job.session()), job.waiting());
    Back { session, waiting, result: wire.call(job).await }
}

async fn probe(wire: &Wire, limit: Duration) -> Back {
    Back { session: None, waiting: Waiting { taken: 0, refused: 0 }, result: wire.probe(limit).await }
}
