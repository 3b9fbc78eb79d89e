//! The life of a link, the same at both ends: what comes is handed on, something is said now and then, and silence ends it.

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tonic::{Status, Streaming};

use super::outgoing::Outgoing;
use crate::config::Timing;
use crate::core::Pulse;
use crate::frame::{Batch, Frame, Ping, Pong, Said};

/// Why a link has ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkEnd {
    #[error("the node ended the link")]
    Ended,
    #[error("the connection broke")]
    Broken(#[source] Box<Status>),
    #[error("nothing was heard of the node for too long")]
    Silent,
    #[error("the node takes nothing of what it is sent")]
    Overflowed,
}

/// Hands on what comes until the link ends.
pub(super) async fn live(
    timing: &Timing,
    (outgoing, stream): (&Outgoing, &mut Streaming<Batch>),
    mut handle: impl FnMut(Frame),
) -> LinkEnd {
    let began = Instant::now();
    let us = || u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let mut hear = |frame: Frame| match frame.said {
        // A full queue says more than a pong.
        Some(Said::Ping(Ping { sent_us })) => drop(outgoing.send(Pong { sent_us }.into())),
        Some(Said::Pong(Pong { sent_us })) => outgoing.set_round_trip_us(us().saturating_sub(sent_us)),
        Some(_) => handle(frame),
        None => {}
    };
    let mut pulse = Pulse::new(began.into_std(), timing.silence_max);
    let mut beats = interval(timing.heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = stream.message() => match message {
                Ok(Some(batch)) => {
                    pulse.handle_heard(Instant::now().into_std());
                    batch.frames.into_iter().for_each(&mut hear);
                }
                Ok(None) => return LinkEnd::Ended,
                Err(status) => return LinkEnd::Broken(Box::new(status)),
            },
            // A full queue says more than a ping.
            _ = beats.tick() => drop(outgoing.send(Ping { sent_us: us() }.into())),
            () = sleep_until(Instant::from_std(pulse.dies_at())) => return LinkEnd::Silent,
            () = outgoing.overflowed() => return LinkEnd::Overflowed,
        }
    }
}
