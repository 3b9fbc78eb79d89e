//! The task that owns a serial service.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::{Job, Seed, SerialHook, limited};
use crate::error::{Error, Result};
use crate::service::contain;
use crate::service::hooks::{Hooks, log_tick};
use crate::service::lifecycle::Stage;
use crate::service::parts::AppParts;

/// An order of the application.
pub(super) struct Control {
    /// The stage whose hooks are to run; `None` opens the mailbox and begins the ticks.
    pub(super) stage: Option<Stage>,
    pub(super) done: oneshot::Sender<Result<()>>,
}

/// Owns a serial service and does one thing at a time with it.
pub(super) struct Actor<S> {
    name: Arc<str>,
    service: S,
    jobs: mpsc::Receiver<Box<dyn Job<S>>>,
    controls: mpsc::Receiver<Control>,
    hooks: Hooks<SerialHook<S>>,
    parts: Arc<AppParts>,
    ticks: Vec<Tick<S>>,
    /// It takes calls and ticks: between the last `after_init` of the application and its own `shutdown`.
    is_open: bool,
}

struct Tick<S> {
    period: Duration,
    due: Instant,
    work: SerialHook<S>,
}

/// What the task does next.
enum Next<S> {
    Control(Control),
    Ticks,
    Job(Box<dyn Job<S>>),
    /// Nobody can call any more.
    Close,
    /// The application was dropped without being stopped.
    End,
}

impl<S: Send + 'static> Actor<S> {
    pub(super) fn new(
        name: Arc<str>,
        seed: Seed<S>,
        controls: mpsc::Receiver<Control>,
        parts: Arc<AppParts>,
    ) -> Self {
        let Seed { service, jobs, hooks } = seed;
        Self { name, service, jobs, controls, hooks, parts, ticks: Vec::new(), is_open: false }
    }

    pub(super) async fn run(mut self) {
        let mut alarm = pin!(sleep_until(Instant::now()));
        loop {
            let due = self.ticks.iter().map(|tick| tick.due).min();
            if let Some(due) = due.filter(|due| *due != alarm.deadline()) {
                alarm.as_mut().reset(due);
            }
            let next = tokio::select! {
                biased;
                control = self.controls.recv() => control.map_or(Next::End, Next::Control),
                () = alarm.as_mut(), if due.is_some() => Next::Ticks,
                job = self.jobs.recv(), if self.is_open => job.map_or(Next::Close, Next::Job),
            };
            match next {
                Next::Control(control) => {
                    let is_last = control.stage == Some(Stage::Shutdown);
                    self.obey(control).await;
                    if is_last {
                        return;
                    }
                }
                Next::Ticks => self.tick().await,
                Next::Job(job) if job.is_abandoned() => {}
                Next::Job(job) => job.run(&mut self.service, self.parts.call_timeout).await,
                Next::Close => self.is_open = false,
                Next::End => return,
            }
        }
    }

    async fn obey(&mut self, control: Control) {
        let outcome = match control.stage {
            None => {
                self.open();
                Ok(())
            }
            Some(stage) => self.enter(stage).await,
        };
        // The application may have given up waiting.
        drop(control.done.send(outcome));
    }

    fn open(&mut self) {
        let now = Instant::now();
        let ticks = self.hooks.ticks.iter();
        self.ticks = ticks.map(|&(period, work)| Tick { period, due: now + period, work }).collect();
        self.is_open = true;
    }

    async fn enter(&mut self, stage: Stage) -> Result<()> {
        if stage == Stage::Shutdown {
            self.ticks.clear();
            self.is_open = false;
            self.jobs.close();
            // Dropping a job tells its caller that the service has stopped.
            while self.jobs.try_recv().is_ok() {}
        }
        for hook in self.hooks.of(stage) {
            // The application's own deadline ends a hook that lasts, by aborting this task.
            let hook = contain("hook", hook(&mut self.service, &self.parts));
            hook.await.unwrap_or_else(|| Err(Error::internal("the hook panicked")))?;
        }
        Ok(())
    }

    /// Runs the ticks that are due. Firings that were missed are left out.
    async fn tick(&mut self) {
        let now = Instant::now();
        for tick in &mut self.ticks {
            if tick.due > now {
                continue;
            }
            let work = (tick.work)(&mut self.service, &self.parts);
            let outcome = limited("tick", self.parts.call_timeout, work).await;
            log_tick(&self.name, outcome.and_then(|outcome| outcome));
            tick.due = next_due(tick.due, tick.period, Instant::now());
        }
    }
}

/// The first time after `now` that is a whole number of periods after `due`.
fn next_due(due: Instant, period: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(due).as_nanos();
    let into_period = late.checked_rem(period.as_nanos()).unwrap_or(0);
    now + period.saturating_sub(Duration::from_nanos(u64::try_from(into_period).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_tick_keeps_to_the_rhythm_and_leaves_out_what_it_missed() {
        let due = Instant::now();
        let period = Duration::from_millis(50);
        let after = |late| next_due(due, period, due + Duration::from_millis(late)) - due;
        assert_eq!(after(0), Duration::from_millis(50));
        assert_eq!(after(49), Duration::from_millis(50));
        assert_eq!(after(120), Duration::from_millis(150));
    }
}
