//! Idle: the memory of connections that do nothing, fresh, and again after each has echoed 16 KiB once.
//!
//! A few hundred connections come first and stay: what a server allocates once is then in the baseline, and no
//! measured connection can live in memory that another one gave back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::dialect::{BODY_LEN, Outbox, echo_body};
use crate::engine::{Engine, Job};
use crate::inbound::Inbound;
use crate::kernel::Meters;
use crate::report::{Report, growth_per};
use crate::work::echo::ROUTE;

const BIG_LEN: usize = 16 * 1024;
/// Echoes of 16 KiB that are under way at once.
const BIG_AT_ONCE: usize = 16;
/// Connections of the warm-up that echo 16 KiB: enough for buffers that a server shares, few enough that the
/// buffers of these connections themselves, given back later, do not house the measured ones.
const BIG_WARM_UP: usize = 8;
/// Without an answer for this long the run is void.
const SILENCE: Duration = Duration::from_secs(5);

/// What to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct IdlePlan {
    /// Connections.
    #[arg(long, default_value_t = 1000)]
    pub connections: usize,
    /// Connections that come before the baseline and stay.
    #[arg(long, default_value_t = 200)]
    pub warm_up: usize,
    /// Time of rest before memory is read.
    #[arg(long, default_value_t = 1000)]
    pub settle_ms: u64,
}

/// One echo after another over a range of connections.
#[derive(Debug)]
struct Tour {
    next: usize,
    end: usize,
    replies: usize,
    wrong: u64,
    body_len: usize,
    ready: Vec<usize>,
}

/// Runs the plan and reports.
///
/// # Errors
///
/// When a connection cannot be opened, an echo stays away, or the server's figures cannot be read.
pub fn run(engine: &mut Engine, meters: &Meters, plan: IdlePlan) -> Result<Report> {
    let settle = Duration::from_millis(plan.settle_ms);
    let (warm_up, all) = (plan.warm_up, plan.warm_up + plan.connections);
    engine.open(warm_up)?;
    let mut wrong = tour(engine, 0..warm_up, BODY_LEN)?;
    wrong += tour(engine, 0..warm_up.min(BIG_WARM_UP), BIG_LEN)?;
    rest(engine, settle)?;
    let base = meters.rss()?;
    engine.open(plan.connections)?;
    rest(engine, settle)?;
    let fresh = meters.rss()?;
    wrong += tour(engine, warm_up..all, BIG_LEN)?;
    rest(engine, settle)?;
    let after = meters.rss()?;
    let count = u64::try_from(plan.connections)?;
    Ok(Report {
        connections: Some(engine.open_count() - warm_up),
        failed: engine.failed_count(),
        wrong: Some(wrong),
        bytes_per_conn_fresh: Some(growth_per(base, fresh, count)),
        bytes_per_conn_after16k: Some(growth_per(base, after, count)),
        ..Report::default()
    })
}

fn rest(engine: &mut Engine, settle: Duration) -> Result<()> {
    engine.run_for(&mut crate::engine::NoJob, settle)
}

/// Lets every connection of the range echo one body, a few at a time; the wrong answers are counted.
fn tour(engine: &mut Engine, range: std::ops::Range<usize>, body_len: usize) -> Result<u64> {
    let goal = range.len();
    let mut tour =
        Tour { next: range.start, end: range.end, replies: 0, wrong: 0, body_len, ready: Vec::new() };
    for _ in 0..BIG_AT_ONCE {
        tour.advance();
    }
    let mut last_progress = (0, Instant::now());
    while tour.replies < goal {
        for conn in std::mem::take(&mut tour.ready) {
            engine.send(conn, |out| out.put_request(0, ROUTE, &tour.body(conn)));
        }
        engine.turn(&mut tour, Duration::from_millis(50))?;
        if tour.replies != last_progress.0 {
            last_progress = (tour.replies, Instant::now());
        }
        ensure!(last_progress.1.elapsed() < SILENCE, "{} of {goal} echoes came back", tour.replies);
    }
    Ok(tour.wrong)
}

impl Tour {
    fn advance(&mut self) {
        if self.next < self.end {
            self.ready.push(self.next);
            self.next += 1;
        }
    }

    fn body(&self, conn: usize) -> Vec<u8> {
        let mut body = echo_body(conn, 0).to_vec();
        body.resize(self.body_len, b'x');
        body
    }
}

impl Job for Tour {
    fn packet(&mut self, conn: usize, packet: Inbound<'_>, _now: Instant, _out: &mut Outbox<'_>) {
        match packet {
            Inbound::Reply { body, .. } if body == self.body(conn) => {}
            _ => self.wrong += 1,
        }
        self.replies += 1;
        self.advance();
    }
}
