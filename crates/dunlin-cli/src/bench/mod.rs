//! `dunlin bench`: load on any server of the nano protocol, and how it bore it.
//!
//! `args.rs` is its command line, `crowd.rs` connects the clients, `load.rs` is what each of them does, `pace.rs` calls them at their turns.
//! Pure: `plan.rs` what a run does and what is refused, `schedule.rs` when requests are to be sent, `tally.rs` counts, `report.rs` and `chart.rs`
//! show them.
//!
//! Invariants: memory is bounded by the number of clients and of requests that may wait; every request that was sent is counted as answered
//! or lost; without a word of the user's no other machine is loaded.

mod args;
mod chart;
mod crowd;
mod load;
mod pace;
mod plan;
mod report;
mod schedule;
mod tally;
#[cfg(test)]
mod tests;

use std::io::{Write, stderr, stdin};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

pub(crate) use self::args::BenchArgs;
use self::args::Kind;
use self::crowd::Member;
use self::load::Load;
use self::plan::{Plan, check_target};
use self::report::Report;
use self::tally::Tally;
use crate::client::{Failure, body};

/// How often the progress is shown anew.
const PROGRESS_STEP: Duration = Duration::from_millis(200);

/// More threads than this for the load would only take them from the server, which usually is on the same machine.
const THREADS_DEFAULT_MAX: usize = 4;

/// Makes the load and writes what came of it.
pub(crate) fn run(args: &BenchArgs, out: &mut impl Write) -> Result<ExitCode> {
    let is_json = args.target.json;
    let plan = match plan(args) {
        Ok(plan) => plan,
        Err(failure) => return failure.report(is_json, &mut stderr()),
    };
    crowd::make_room(plan.clients)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = args.threads.map_or(cores.min(THREADS_DEFAULT_MAX), usize::from);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime =
        builder.worker_threads(threads).enable_all().build().context("the system gives no runtime")?;
    let tally = match runtime.block_on(measure(args, &plan, threads))? {
        Ok(tally) => tally,
        Err(failure) => return failure.report(is_json, &mut stderr()),
    };
    let report = Report { url: &args.target.url, plan: &plan, tally: &tally };
    let written = if is_json { writeln!(out, "{}", report.json()) } else { write!(out, "{report}") };
    written.context("standard output is closed")?;
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn plan(args: &BenchArgs) -> Result<Plan, Failure> {
    let body = body::given(&args.body, args.raw, stdin().lock()).map_err(|error| Failure::body(&error))?;
    let plan = Plan::new(args, body).map_err(Failure::input)?;
    check_target(args).map_err(Failure::input)?;
    Ok(plan)
}

/// Connects the clients and lets them do what is planned. The inner error is that they cannot connect.
async fn measure(args: &BenchArgs, plan: &Plan, threads: usize) -> Result<Result<Tally, Failure>> {
    let progress = progress(plan.clients.into(), "connecting  {bar:30} {pos} of {len} clients");
    let target = match args.target.prepared() {
        Ok(target) => target,
        Err(failure) => return Ok(Err(failure)),
    };
    let members = crowd::connect(&target, plan.clients, args.connect_rate, &progress).await?;
    progress.finish_and_clear();
    let members = match members {
        Ok(members) => members,
        Err(failure) => return Ok(Err(failure)),
    };
    let load = Arc::new(Load::new(plan.clone(), threads)?);
    let pace = pace::start(Arc::downgrade(&load))?;
    let mut running = JoinSet::new();
    for (index, Member { client, pushes }) in members.into_iter().enumerate() {
        running.spawn(Arc::clone(&load).run(index, Member { client, pushes }));
    }
    let end = u64::try_from(plan.end().as_millis()).unwrap_or(u64::MAX);
    let progress = self::progress(end, "measuring   {bar:30} {msg}");
    let showing = tokio::spawn(show(Arc::clone(&load), progress.clone()));
    while let Some(ended) = running.join_next().await {
        ended.context("a client ended in a panic")?;
    }
    showing.abort();
    progress.finish_and_clear();
    let tally = load.tally()?;
    drop(load);
    if pace.join().is_err() {
        anyhow::bail!("the clock of the load ended in a panic");
    }
    Ok(Ok(tally))
}

/// Shows how far the run is, on a terminal.
async fn show(load: Arc<Load>, progress: ProgressBar) {
    while !progress.is_hidden() {
        tokio::time::sleep(PROGRESS_STEP).await;
        let passed = load.begin.elapsed();
        progress.set_position(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
        let Ok(tally) = load.tally() else { return };
        let stage = match passed {
            passed if passed < load.plan.warmup => "warm-up",
            passed if passed < load.plan.end() => "so far",
            _ => "waiting for the last answers",
        };
        let lost = tally.lost();
        let Tally { sent, answered, dropped, .. } = tally;
        progress.set_message(match load.plan.kind {
            Kind::Request => format!("{stage}: {sent} sent, {answered} answered, {lost} lost"),
            Kind::Notify => format!("{stage}: {sent} sent"),
            Kind::Idle => format!("{stage}: {dropped} clients dropped"),
        });
    }
}

/// A bar on standard error, hidden when that is no terminal.
fn progress(len: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(len);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("#> ")),
        Err(_) => bar,
    }
}
