//! Many watchers of one key, which is put again and again: how long until each has heard of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Target;
use super::clients::{Client, Watch};
use super::requests::until_it_answers;
use crate::report::{self, Report};

/// The key.
const KEY: &str = "watched";

/// From one put to the next.
const PERIOD: Duration = Duration::from_millis(100);

/// How long a round of deliveries may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct WatchesPlan {
    /// Watchers.
    #[arg(long, default_value_t = 1000)]
    watchers: usize,
    /// Connections that they share.
    #[arg(long, default_value_t = 30)]
    connections: usize,
    /// Puts that each of them hears of.
    #[arg(long, default_value_t = 30)]
    puts: u64,
}

/// Runs the plan and reports.
///
/// # Errors
///
/// When the group does not answer, or the kernel's figures cannot be read.
pub async fn run<C: Client>(target: &Target, plan: WatchesPlan) -> Result<Report> {
    let mut clients = Vec::new();
    for number in 0..plan.connections {
        clients.push(C::new(&target.members_from(number))?);
    }
    let mut putter = C::new(&target.members_from(0))?;
    timeout(PATIENCE * 2, until_it_answers(&mut putter)).await.context("the group does not answer")?;
    let origin = Arc::new(Instant::now());
    let (tell, mut told) = mpsc::channel(4096);
    let mut tasks = JoinSet::new();
    for number in 0..plan.watchers {
        let place = number % plan.connections;
        let client = clients.get_mut(place).context("no connection")?;
        let watch =
            timeout(PATIENCE, client.watch(KEY.to_owned())).await.context("a watch does not begin")??;
        tasks.spawn(listen(watch, origin.clone(), tell.clone()));
    }
    drop(tell);
    let meters = target.meters();
    let before = meters.iter().map(|meter| meter.cpu()).collect::<Result<Vec<_>, _>>()?;
    let begin = Instant::now();
    let expected = plan.watchers as u64 * plan.puts;
    let putting = tokio::spawn(async move {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..plan.puts {
            ticks.tick().await;
            let now_ns = u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            putter.put(KEY.to_owned(), now_ns.to_be_bytes().to_vec()).await?;
        }
        anyhow::Ok(())
    });
    let (mut times_ns, mut heard) = (report::times()?, 0);
    while heard < expected {
        let Ok(Some(time)) = timeout(PATIENCE, told.recv()).await else { break };
        times_ns.saturating_record(u64::try_from(Duration::as_nanos(&time)).unwrap_or(u64::MAX));
        heard += 1;
    }
    let elapsed = begin.elapsed();
    putting.await??;
    let mut cpu_ns = 0;
    for (meter, before) in meters.iter().zip(&before) {
        cpu_ns += meter.cpu()?.since(before);
    }
    tasks.abort_all();
    let mut report = Report { lost: Some(expected - heard), ..Report::default() };
    report.set_server_cost(heard, elapsed, cpu_ns);
    report.set_times(&times_ns);
    Ok(report)
}

/// Tells how long each put took to get here.
async fn listen(mut watch: impl Watch, origin: Arc<Instant>, tell: mpsc::Sender<Duration>) {
    while let Ok(value) = watch.next().await {
        let Ok(put_ns) = <[u8; 8]>::try_from(&value[..]).map(u64::from_be_bytes) else { continue };
        let time = origin.elapsed().saturating_sub(Duration::from_nanos(put_ns));
        if tell.send(time).await.is_err() {
            return;
        }
    }
}
