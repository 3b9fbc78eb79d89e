//! Detection: a client that asks at a steady pace while the backend that it is with is killed or frozen.
//!
//! Measured is the time from the signal to the first answer of another backend. Every request is followed to its answer, be it an error;
//! one that gets none at all is lost. A gate that never finds another backend leaves the time out of the report.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::who;
use crate::dialect::{Outbox, request_id};
use crate::engine::{Engine, Job};
use crate::inbound::Inbound;
use crate::report::Report;

/// Without a single answer for this long the rest counts as lost; longer than it takes to find a frozen node.
const SILENCE: Duration = Duration::from_secs(3);

/// What to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct DetectPlan {
    /// What becomes of the backend.
    #[arg(long, value_enum)]
    pub fate: Fate,
    /// Time between requests.
    #[arg(long, default_value_t = 10)]
    pub period_ms: u64,
    /// How long it asks before that, and again after the first answer of another backend.
    #[arg(long, default_value_t = 500)]
    pub calm_ms: u64,
    /// Time after which no other backend is waited for.
    #[arg(long, default_value_t = 30_000)]
    pub give_up_ms: u64,
}

/// What becomes of the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fate {
    /// Its process ends at once, and the kernel closes its connections.
    Killed,
    /// Its process stops running, and its connections stay.
    Frozen,
}

/// Runs the plan and reports. Only one of `backends` is killed or frozen.
///
/// # Errors
///
/// When the connection cannot be opened or ends, or none of the backends answers before the signal.
pub fn run(engine: &mut Engine, backends: &[u32], plan: DetectPlan) -> Result<Report> {
    ensure!(plan.period_ms > 0 && plan.give_up_ms / plan.period_ms < 10_000, "request ids would come twice");
    let [period, calm, give_up] = [plan.period_ms, plan.calm_ms, plan.give_up_ms].map(Duration::from_millis);
    engine.open(1)?;
    let mut asking = Asking::default();
    let mut pace = Pace { next_at: Instant::now(), period };
    pace.ask_until(engine, &mut asking, Instant::now() + calm, |_| false)?;
    let victim = asking.last_pid.context("nobody answers")?;
    ensure!(backends.contains(&victim), "process {victim} answers, which is none of the backends");
    let pid = i32::try_from(victim).ok().and_then(Pid::from_raw).context("no process id")?;
    let begin = Instant::now();
    asking.victim = Some(victim);
    kill_process(pid, plan.fate.signal()).context("the backend cannot be sent a signal")?;
    pace.ask_until(engine, &mut asking, begin + give_up, |asking| asking.other_at.is_some())?;
    if asking.other_at.is_some() {
        pace.ask_until(engine, &mut asking, Instant::now() + calm, |_| false)?;
    }
    drain(engine, &mut asking)?;
    Ok(Report {
        connections: Some(engine.open_count()),
        failed: engine.failed_count(),
        ops: Some(asking.asked),
        lost: Some(u64::try_from(asking.waiting.len())?),
        wrong: Some(asking.wrong),
        refused: Some(asking.refused),
        detect_ms: asking.other_at.map(|other| other.saturating_duration_since(begin).as_secs_f64() * 1000.0),
        ..Report::default()
    })
}

impl Fate {
    const fn signal(self) -> Signal {
        match self {
            Self::Killed => Signal::KILL,
            Self::Frozen => Signal::STOP,
        }
    }
}

/// Waits for the answers that are still missing.
fn drain(engine: &mut Engine, asking: &mut Asking) -> Result<()> {
    let mut last_progress = (asking.waiting.len(), Instant::now());
    while !asking.waiting.is_empty() && last_progress.1.elapsed() < SILENCE {
        engine.turn(asking, Duration::from_millis(50))?;
        if asking.waiting.len() != last_progress.0 {
            last_progress = (asking.waiting.len(), Instant::now());
        }
    }
    Ok(())
}

/// When the next request is due. It does not wait for answers.
#[derive(Debug)]
struct Pace {
    next_at: Instant,
    period: Duration,
}

impl Pace {
    fn ask_until(
        &mut self,
        engine: &mut Engine,
        asking: &mut Asking,
        end: Instant,
        is_enough: impl Fn(&Asking) -> bool,
    ) -> Result<()> {
        while Instant::now() < end && !is_enough(asking) {
            while self.next_at <= Instant::now() {
                self.next_at += self.period;
                engine.send(0, |out| asking.ask(out));
            }
            ensure!(engine.open_count() == 1, "the gate closed the connection");
            engine.turn(asking, self.next_at.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }
}

/// The requests of one client.
#[derive(Debug, Default)]
struct Asking {
    asked: u64,
    /// Ids of requests without an answer.
    waiting: BTreeSet<u64>,
    refused: u64,
    wrong: u64,
    /// Who answered last.
    last_pid: Option<u32>,
    /// Who got the signal.
    victim: Option<u32>,
    /// When somebody else answered after that.
    other_at: Option<Instant>,
}

impl Asking {
    fn ask(&mut self, out: &mut Outbox<'_>) {
        self.asked += 1;
        self.waiting.insert(request_id(self.asked));
        out.put_request(self.asked, who::ROUTE, b"{}");
    }
}

impl Job for Asking {
    fn packet(&mut self, _conn: usize, packet: Inbound<'_>, now: Instant, _out: &mut Outbox<'_>) {
        let Inbound::Reply { id, body } = packet else {
            self.wrong += 1;
            return;
        };
        if !self.waiting.remove(&id) {
            self.wrong += 1;
            return;
        }
        let Some(pid) = who::pid_of(body) else {
            self.refused += 1;
            return;
        };
        self.last_pid = Some(pid);
        if self.victim.is_some_and(|victim| victim != pid) {
            self.other_at.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Dialect, Transport};

    fn asked(count: u64) -> Asking {
        let mut asking = Asking { victim: Some(7), ..Asking::default() };
        with_outbox(|out| (0..count).for_each(|_| asking.ask(out)));
        asking
    }

    fn with_outbox(act: impl FnOnce(&mut Outbox<'_>)) {
        let dialect = Dialect { transport: Transport::Tcp, is_raw: false };
        act(&mut Outbox { dialect, bytes: &mut Vec::new() });
    }

    fn answer(asking: &mut Asking, sequence: u64, body: &[u8]) {
        let packet = Inbound::Reply { id: request_id(sequence), body };
        with_outbox(|out| asking.packet(0, packet, Instant::now(), out));
    }

    #[test]
    fn only_an_answer_of_another_backend_is_the_end_of_the_search() {
        let mut asking = asked(3);
        answer(&mut asking, 1, b"7");
        answer(&mut asking, 2, br#"{"code":503}"#);
        assert!(asking.other_at.is_none());
        answer(&mut asking, 3, b"8");
        assert!(asking.other_at.is_some());
        assert_eq!((asking.refused, asking.wrong, asking.waiting.len()), (1, 0, 0));
    }

    #[test]
    fn an_answer_that_nobody_asked_for_is_wrong() {
        let mut asking = asked(2);
        answer(&mut asking, 1, b"7");
        answer(&mut asking, 1, b"7");
        assert_eq!((asking.wrong, asking.waiting.len()), (1, 1));
    }
}
