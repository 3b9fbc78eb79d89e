//! `cargo xtask bench AREA`: what is compared as processes of their own, in rotation, medians, a table and JSON lines.
//!
//! An area says in `edge.rs`, `cluster.rs`, `http.rs`, `raft.rs` or `registry.rs` what is measured and how one run goes; `fleet.rs` builds and
//! starts processes, `results.rs` takes medians and writes, and `bars.rs` compares with what was promised. A missed bar is printed, never a
//! failure: figures depend on the machine.

mod bars;
mod cluster;
mod edge;
mod fleet;
mod http;
mod nginx;
mod raft;
mod registry;
mod results;
mod sides;
mod trials;

use std::io::Write;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};

use bars::Bar;
use fleet::Fleet;
use results::{Reading, Results};
use sides::Side;
use trials::Trial;

/// Arguments of `cargo xtask bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    #[command(subcommand)]
    area: AreaName,
}

#[derive(Debug, Subcommand)]
enum AreaName {
    /// The client edge: idle memory, echo, broadcast, churn.
    Edge(AreaArguments),
    /// A gate and backends behind it: forwarded echo, broadcast, the end of a backend.
    Cluster(AreaArguments),
    /// HTTP clients: keep-alive requests and a wave, in plain text, over TLS and as HTTP/2.
    Http(AreaArguments),
    /// Raft's messages between two members: appends, heartbeats beside them, a snapshot.
    Rafthttp(AreaArguments),
    /// Three members of the registry beside three of etcd: puts, gets, watches.
    Registry(AreaArguments),
}

#[derive(Debug, Args)]
struct AreaArguments {
    /// One short run of everything.
    #[arg(long)]
    quick: bool,
    /// Only figures whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Runs of each figure instead of the default, which depends on the figure.
    #[arg(long)]
    runs: Option<usize>,
    /// Only these beside ours.
    #[arg(long, value_enum)]
    peer: Vec<Side>,
}

/// Something that is measured: its peers, its trials, and how one run goes.
trait Area {
    /// What a trial needs besides the load.
    type Setting;
    /// The name of the area.
    const NAME: &str;
    /// All but ours.
    const PEERS: &[Side];
    /// What was promised.
    const BARS: &[Bar];

    /// Everything that is measured.
    fn trials(is_quick: bool) -> Vec<Trial<Self::Setting>>;

    /// Builds one side.
    fn prepare(fleet: &Fleet, side: Side) -> Result<()>;

    /// Drops the trials for which something is missing besides a side, and says what.
    fn drop_impossible(_fleet: &mut Fleet, _trials: &mut Vec<Trial<Self::Setting>>) {}

    /// One run with fresh processes.
    fn measure_once(fleet: &Fleet, trial: &Trial<Self::Setting>, side: Side) -> Result<Reading>;
}

/// Runs the chore.
pub(crate) fn run(arguments: &BenchArguments) -> Result<()> {
    match &arguments.area {
        AreaName::Edge(arguments) => run_area::<edge::Edge>(arguments),
        AreaName::Cluster(arguments) => run_area::<cluster::Cluster>(arguments),
        AreaName::Http(arguments) => run_area::<http::Http>(arguments),
        AreaName::Rafthttp(arguments) => run_area::<raft::Raft>(arguments),
        AreaName::Registry(arguments) => run_area::<registry::Registry>(arguments),
    }
}

fn run_area<A: Area>(arguments: &AreaArguments) -> Result<()> {
    let begin = Instant::now();
    for peer in &arguments.peer {
        ensure!(A::PEERS.contains(peer), "{} is no peer of the area {}", peer.name(), A::NAME);
    }
    let mut trials = A::trials(arguments.quick);
    if let Some(pattern) = &arguments.only {
        trials.retain(|trial| trial.figures.iter().any(|figure| figure.name.contains(pattern.as_str())));
    }
    ensure!(!trials.is_empty(), "no figure has such a name");
    let mut fleet = Fleet::build()?;
    let peers = if arguments.peer.is_empty() { A::PEERS } else { &arguments.peer };
    for side in [Side::Ours].iter().chain(peers) {
        fleet.add(*side, A::prepare);
    }
    A::drop_impossible(&mut fleet, &mut trials);
    let mut results = Results::default();
    for trial in &trials {
        let runs = if arguments.quick { 1 } else { arguments.runs.unwrap_or(trial.runs) };
        measure::<A>(&fleet, trial, runs, &mut results)?;
    }
    report::<A>(&fleet, &trials, &results)?;
    let path = results_path::<A>(&fleet);
    writeln!(std::io::stdout(), "{} after {:.0} s", path.display(), begin.elapsed().as_secs_f64())?;
    Ok(())
}

fn results_path<A: Area>(fleet: &Fleet) -> std::path::PathBuf {
    fleet.bench_file(&format!("{}.jsonl", A::NAME))
}

/// The JSON lines, the table, the bars, and what is missing.
fn report<A: Area>(fleet: &Fleet, trials: &[Trial<A::Setting>], results: &Results) -> Result<()> {
    let peers: Vec<Side> = A::PEERS.iter().copied().filter(|peer| fleet.has(*peer)).collect();
    let lines = results.lines(trials, &peers);
    results::write_json_lines(&lines, &results_path::<A>(fleet))?;
    results::print_table(&lines, A::PEERS)?;
    bars::print(A::BARS, &lines)?;
    let mut out = std::io::stdout();
    for (name, reason) in &fleet.missing {
        writeln!(out, "not run: {name} ({reason})")?;
    }
    for failure in &results.failures {
        writeln!(out, "failed: {failure}")?;
    }
    Ok(())
}

/// All runs of one trial; the order of the sides moves on by one with each run.
fn measure<A: Area>(
    fleet: &Fleet,
    trial: &Trial<A::Setting>,
    runs: usize,
    results: &mut Results,
) -> Result<()> {
    let sides: Vec<Side> = trial.sides.iter().copied().filter(|side| fleet.has(*side)).collect();
    for run in 0..runs {
        for step in 0..sides.len() {
            let side = sides[(run + step) % sides.len()];
            let mut out = std::io::stderr();
            write!(out, "{} run {} of {runs} {} ... ", trial.name, run + 1, side.name())?;
            match A::measure_once(fleet, trial, side) {
                Ok(reading) => {
                    writeln!(out, "{}", reading.summary())?;
                    results.readings.entry((trial.name.clone(), side)).or_default().push(reading);
                }
                Err(error) => {
                    writeln!(out, "failed: {error:#}")?;
                    results.failures.push(format!(
                        "{} run {} {}: {error:#}",
                        trial.name,
                        run + 1,
                        side.name()
                    ));
                }
            }
        }
    }
    Ok(())
}
