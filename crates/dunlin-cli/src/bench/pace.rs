//! The clock of a schedule: a thread that calls each client when its turn has come.
//!
//! A thread and not a task, because timers of the runtime round up to the next millisecond, which is longer than many answers take. What it
//! is late by is in the measured times, as it is for whoever waits.

use std::sync::Weak;
use std::thread::{Builder, JoinHandle, sleep};
use std::time::Duration;

use anyhow::{Context, Result};

use super::load::Load;

/// How long it sleeps at most, so that it sees soon that nobody is there any more.
const NAP_MAX: Duration = Duration::from_millis(100);

/// Calls clients at their turns until the end of the run, and everybody once more then. It ends early when the load is gone.
pub(super) fn start(load: Weak<Load>) -> Result<JoinHandle<()>> {
    Builder::new()
        .name("pace".to_owned())
        .spawn(move || {
            let mut n = 0;
            while let Some(load) = load.upgrade() {
                let end = load.plan.end();
                let next = match load.plan.schedule {
                    Some(schedule) => schedule.at(n).min(end),
                    None => end,
                };
                let left = next.saturating_sub(load.begin.elapsed());
                if !left.is_zero() {
                    drop(load);
                    sleep(left.min(NAP_MAX));
                    continue;
                }
                if next == end {
                    load.calls.iter().for_each(tokio::sync::Notify::notify_one);
                    return;
                }
                if let Some(call) = load.plan.schedule.and_then(|schedule| load.calls.get(schedule.client(n)))
                {
                    call.notify_one();
                }
                n += 1;
            }
        })
        .context("the system gives no thread")
}
