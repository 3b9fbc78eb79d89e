//! Puts and gets: so many clients, each asks and waits for its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Target;
use super::clients::Client;
use crate::report::{self, Report};

/// Bytes of each value.
const VALUE_LEN: usize = 256;

/// Keys of each client, put one after another.
const KEYS: u64 = 100;

/// How long a group may take until it answers at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct RequestsPlan {
    /// Clients that ask at a time.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// What they ask for.
    #[arg(long, value_enum)]
    kind: Kind,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A key is put.
    Put,
    /// A key is read, as fresh as anything that was answered before.
    Get,
    /// A key is read as the member has it.
    GetStale,
}

const WARM_UP: u8 = 0;
const COUNTED: u8 = 1;
const OVER: u8 = 2;

#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    lost: u64,
}

/// Runs the plan and reports.
///
/// # Errors
///
/// When the group does not answer, or the kernel's figures cannot be read.
pub async fn run<C: Client>(target: &Target, plan: RequestsPlan) -> Result<Report> {
    let mut clients = Vec::new();
    for number in 0..plan.clients {
        clients.push(C::new(&target.members_from(number))?);
    }
    let first = clients.first_mut().context("no client")?;
    timeout(PATIENCE, until_it_answers(first)).await.context("the group does not answer")?;
    let phase = Arc::new(AtomicU8::new(WARM_UP));
    let mut tasks = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        tasks.spawn(work(client, (number, plan.kind), phase.clone()));
    }
    sleep(Duration::from_millis(target.warm_up_ms)).await;
    let meters = target.meters();
    let before = meters.iter().map(|meter| meter.cpu()).collect::<Result<Vec<_>, _>>()?;
    let begin = Instant::now();
    phase.store(COUNTED, Ordering::Release);
    sleep(Duration::from_millis(target.duration_ms)).await;
    phase.store(OVER, Ordering::Release);
    let elapsed = begin.elapsed();
    let mut cpu_ns = 0;
    for (meter, before) in meters.iter().zip(&before) {
        cpu_ns += meter.cpu()?.since(before);
    }
    let (mut times_ns, mut lost) = (report::times()?, 0);
    while let Some(seen) = tasks.join_next().await {
        let seen = seen?;
        lost += seen.lost;
        for time in seen.times {
            times_ns.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }
    let mut report = Report { lost: Some(lost), ..Report::default() };
    report.set_server_cost(times_ns.len(), elapsed, cpu_ns);
    report.set_times(&times_ns);
    Ok(report)
}

/// A group that was just started has to elect somebody.
pub(super) async fn until_it_answers<C: Client>(client: &mut C) {
    while client.put("begin".to_owned(), Vec::new()).await.is_err() {
        sleep(Duration::from_millis(50)).await;
    }
}

async fn work<C: Client>(mut client: C, (number, kind): (usize, Kind), phase: Arc<AtomicU8>) -> Seen {
    let mut seen = Seen::default();
    let value = vec![b'x'; VALUE_LEN];
    let key = |n: u64| format!("client-{number}/key-{}", n % KEYS);
    if kind != Kind::Put && client.put(key(0), value.clone()).await.is_err() {
        seen.lost += 1;
    }
    for n in 0.. {
        let begin = Instant::now();
        let done = match kind {
            Kind::Put => client.put(key(n), value.clone()).await.map(|()| VALUE_LEN),
            Kind::Get | Kind::GetStale => client.get(key(0), kind == Kind::GetStale).await,
        };
        let (time, now) = (begin.elapsed(), phase.load(Ordering::Acquire));
        match done {
            Ok(VALUE_LEN) if now == COUNTED => seen.times.push(time),
            Ok(VALUE_LEN) => {}
            // A stale read may come before the member has the key.
            Ok(_) | Err(_) if kind == Kind::GetStale && now == WARM_UP => {
                sleep(Duration::from_millis(5)).await;
            }
            Ok(_) | Err(_) => {
                seen.lost += 1;
                sleep(Duration::from_millis(1)).await;
            }
        }
        if now == OVER {
            break;
        }
    }
    seen
}
