//! Broadcast: one connection asks the server to send to a group, every member counts what it gets.
//!
//! A round is over when every member has everything, or when nothing came for a while; what is missing then is lost.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::dialect::{Outbox, kind};
use crate::engine::{Engine, Job};
use crate::inbound::Inbound;
use crate::kernel::Meters;
use crate::report::{self, Report};

/// Route of the request that makes its session a member of the group.
const JOIN_ROUTE: &str = "Bench.Join";
/// Route of the request that starts a burst: count (u32) and first sequence number (u64), little-endian.
const BURST_ROUTE: &str = "Bench.Burst";
const JOINS_AT_ONCE: usize = 64;

/// What to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct BroadcastPlan {
    /// Members of the group.
    #[arg(long, default_value_t = 1000)]
    pub members: usize,
    /// Messages of a round, sent back to back.
    #[arg(long, default_value_t = 1)]
    pub burst: u32,
    /// Rounds that are measured; one more comes before them.
    #[arg(long, default_value_t = 10)]
    pub rounds: u64,
    /// Without a delivery for this long a round is over.
    #[arg(long, default_value_t = 1000)]
    pub silence_ms: u64,
}

#[derive(Debug, Clone, Default)]
struct Member {
    /// The sequence number that may come next at the earliest.
    next: u64,
}

/// The state of a broadcast run.
#[derive(Debug)]
struct Round {
    members: Vec<Member>,
    delivered: u64,
    wrong: u64,
    replies: u64,
    last_delivery: Instant,
}

/// Runs the plan and reports.
///
/// # Errors
///
/// When a connection cannot be opened, a join is not answered, or the server's figures cannot be read.
pub fn run(engine: &mut Engine, meters: &Meters, plan: BroadcastPlan) -> Result<Report> {
    let mut round = Round {
        members: vec![Member::default(); plan.members],
        delivered: 0,
        wrong: 0,
        replies: 0,
        last_delivery: Instant::now(),
    };
    engine.open(plan.members + 1)?;
    join_all(engine, &mut round)?;
    play(engine, &mut round, plan, 0)?;
    let (delivered_before, cpu_before) = (round.delivered, meters.cpu()?);
    let mut times_ns = report::times()?;
    let mut elapsed = Duration::ZERO;
    for number in 1..=plan.rounds {
        let took = play(engine, &mut round, plan, number)?;
        times_ns.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        elapsed += took;
    }
    let cpu_ns = meters.cpu_since(&cpu_before)?;
    let delivered = round.delivered - delivered_before;
    let sent = u64::try_from(plan.members)? * u64::from(plan.burst) * plan.rounds;
    let mut report =
        Report { connections: Some(plan.members), failed: engine.failed_count(), ..Report::default() };
    report.set_server_costs(delivered, elapsed, &cpu_ns);
    report.set_times(&times_ns);
    report.lost = Some(sent.saturating_sub(delivered));
    report.wrong = Some(round.wrong);
    Ok(report)
}

/// Makes all but the last connection members, a few at a time.
fn join_all(engine: &mut Engine, round: &mut Round) -> Result<()> {
    let is_raw = engine.dialect.is_raw;
    let mut asked = 0;
    let goal = round.members.len();
    let mut last_progress = (0, Instant::now());
    while round.replies < u64::try_from(goal)? {
        while asked < goal && u64::try_from(asked)? < round.replies + u64::try_from(JOINS_AT_ONCE)? {
            engine.send(asked, |out| {
                if is_raw {
                    out.put_packet(kind::RAW_JOIN, &[], &[]);
                } else {
                    out.put_request(0, JOIN_ROUTE, b"{}");
                }
            });
            asked += 1;
        }
        engine.turn(round, Duration::from_millis(50))?;
        if round.replies != last_progress.0 {
            last_progress = (round.replies, Instant::now());
        }
        ensure!(
            last_progress.1.elapsed() < Duration::from_secs(5),
            "{} of {goal} joins were answered",
            round.replies
        );
    }
    Ok(())
}

/// One round; the time from the request to the last delivery.
fn play(engine: &mut Engine, round: &mut Round, plan: BroadcastPlan, number: u64) -> Result<Duration> {
    let first = number * u64::from(plan.burst);
    let mut request = plan.burst.to_le_bytes().to_vec();
    request.extend_from_slice(&first.to_le_bytes());
    let is_raw = engine.dialect.is_raw;
    let driver = plan.members;
    let goal = round.delivered + u64::try_from(plan.members)? * u64::from(plan.burst);
    let begin = Instant::now();
    round.last_delivery = begin;
    engine.send(driver, |out| {
        if is_raw {
            out.put_packet(kind::RAW_BURST, &[], &request);
        } else {
            out.put_request(number, BURST_ROUTE, &request);
        }
    });
    let silence = Duration::from_millis(plan.silence_ms);
    while round.delivered < goal && round.last_delivery.elapsed() < silence {
        engine.turn(round, Duration::from_millis(20))?;
    }
    Ok(round.last_delivery.duration_since(begin))
}

impl Job for Round {
    fn packet(&mut self, conn: usize, packet: Inbound<'_>, now: Instant, _out: &mut Outbox<'_>) {
        match packet {
            Inbound::Push(body) => {
                let sequence = body.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
                let (Some(member), Some(sequence)) = (self.members.get_mut(conn), sequence) else {
                    self.wrong += 1;
                    return;
                };
                if sequence < member.next {
                    self.wrong += 1;
                    return;
                }
                member.next = sequence + 1;
                self.delivered += 1;
                self.last_delivery = now;
            }
            Inbound::Reply { .. } | Inbound::Steered => self.replies += 1,
            Inbound::Handshake(_) | Inbound::Heartbeat => self.wrong += 1,
        }
    }
}
