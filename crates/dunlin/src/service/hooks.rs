//! The hooks and ticks of one service, shared or serial.

use std::sync::Arc;
use std::time::Duration;

use super::lifecycle::Stage;
use crate::error::{Chain, Result};

/// Ticks are at least this far apart, so that they cannot keep a service from everything else.
const PERIOD_MIN: Duration = Duration::from_millis(1);
/// Ticks are at most this far apart, so that their times fit the clock.
const PERIOD_MAX: Duration = Duration::from_secs(86_400 * 365);

/// Hooks by stage and ticks by period, each in the order of their definition.
#[derive(Debug)]
pub(super) struct Hooks<H> {
    pub(super) stages: Vec<(Stage, H)>,
    pub(super) ticks: Vec<(Duration, H)>,
}

impl<H: Copy> Hooks<H> {
    pub(super) fn of(&self, stage: Stage) -> impl Iterator<Item = H> {
        self.stages.iter().filter(move |(at, _)| *at == stage).map(|(_, hook)| *hook)
    }

    pub(super) fn add_tick(&mut self, period: Duration, tick: H) {
        self.ticks.push((period.clamp(PERIOD_MIN, PERIOD_MAX), tick));
    }
}

impl<H> Default for Hooks<H> {
    fn default() -> Self {
        Self { stages: Vec::new(), ticks: Vec::new() }
    }
}

/// A tick has nobody to answer: what it fails with is logged.
pub(super) fn log_tick(service: &Arc<str>, outcome: Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(service = &**service, error = %Chain(&error), "a tick failed");
    }
}
