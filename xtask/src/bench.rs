//! `cargo xtask bench AREA`: servers and load as processes of their own, in rotation, medians, a table and JSON lines.
//!
//! `servers.rs` builds and starts them, `trials.rs` says what is measured, `results.rs` takes medians and writes, and
//! `bars.rs` compares with what was promised. A missed bar is printed, never a failure: figures depend on the machine.

mod bars;
mod results;
mod servers;
mod trials;

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};

use results::{Reading, Results};
use servers::{Fleet, Running, Server};
use trials::Trial;

/// Arguments of `cargo xtask bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    #[command(subcommand)]
    area: Area,
}

#[derive(Debug, Subcommand)]
enum Area {
    /// The client edge: idle memory, echo, broadcast, churn.
    Edge(EdgeArguments),
}

#[derive(Debug, Args)]
struct EdgeArguments {
    /// One short run of everything.
    #[arg(long)]
    quick: bool,
    /// Only figures whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Runs of each figure instead of the default of three, or five for echo.
    #[arg(long)]
    runs: Option<usize>,
    /// Only these servers beside ours.
    #[arg(long, value_enum)]
    peer: Vec<Server>,
}

/// Time that a run of the load gets beyond its own limit before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the chore.
pub(crate) fn run(arguments: &BenchArguments) -> Result<()> {
    match &arguments.area {
        Area::Edge(edge) => run_edge(edge),
    }
}

fn run_edge(arguments: &EdgeArguments) -> Result<()> {
    let begin = Instant::now();
    let peers = if arguments.peer.is_empty() { Server::PEERS.to_vec() } else { arguments.peer.clone() };
    let fleet = Fleet::build(&peers)?;
    let mut trials = trials::edge(arguments.quick);
    if let Some(pattern) = &arguments.only {
        trials.retain(|trial| trial.figures.iter().any(|figure| figure.name.contains(pattern.as_str())));
    }
    ensure!(!trials.is_empty(), "no figure has such a name");
    let mut results = Results::default();
    for trial in &trials {
        let runs = if arguments.quick { 1 } else { arguments.runs.unwrap_or(trial.runs) };
        measure(&fleet, trial, runs, &mut results)?;
    }
    let lines = results.lines(&trials, &fleet);
    let path = fleet.target_dir.join("bench").join("edge.jsonl");
    results::write_json_lines(&lines, &path)?;
    results::print_table(&lines)?;
    bars::print(&lines)?;
    let mut out = std::io::stdout();
    for (server, reason) in &fleet.missing {
        writeln!(out, "not run: {} ({reason})", server.name())?;
    }
    for failure in &results.failures {
        writeln!(out, "failed: {failure}")?;
    }
    writeln!(out, "{} after {:.0} s", path.display(), begin.elapsed().as_secs_f64())?;
    Ok(())
}

/// All runs of one trial; the order of the servers moves on by one with each run.
fn measure(fleet: &Fleet, trial: &Trial, runs: usize, results: &mut Results) -> Result<()> {
    let servers: Vec<Server> = trial.servers.iter().copied().filter(|server| fleet.has(*server)).collect();
    for run in 0..runs {
        for step in 0..servers.len() {
            let server = servers[(run + step) % servers.len()];
            let mut out = std::io::stderr();
            write!(out, "{} run {} of {runs} {} ... ", trial.name, run + 1, server.name())?;
            match measure_once(fleet, trial, server) {
                Ok(reading) => {
                    writeln!(out, "{}", reading.summary())?;
                    results.readings.entry((trial.name.clone(), server)).or_default().push(reading);
                }
                Err(error) => {
                    writeln!(out, "failed: {error:#}")?;
                    results.failures.push(format!(
                        "{} run {} {}: {error:#}",
                        trial.name,
                        run + 1,
                        server.name()
                    ));
                }
            }
        }
    }
    Ok(())
}

/// One run against a fresh process of the server.
fn measure_once(fleet: &Fleet, trial: &Trial, server: Server) -> Result<Reading> {
    let running: Running = fleet.start(server, trial.transport)?;
    let mut load = fleet.command(&fleet.binary("load"));
    load.args(["--target", &running.addr.to_string(), "--pid", &running.pid().to_string()]);
    load.args(["--transport", trial.transport.name(), "--limit-s", &trial.limit.as_secs().to_string()]);
    if server.is_raw() {
        load.arg("--raw");
    }
    load.args(&trial.load);
    let line = output_within(load, trial.limit + GRACE)?;
    serde_json::from_str(&line).with_context(|| format!("the load printed {line:?}"))
}

/// Standard output of a process that must end well and in time; its few lines fit into a pipe.
fn output_within(mut command: Command, limit: Duration) -> Result<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let deadline = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill().context("cannot kill the load")?;
            child.wait()?;
            bail!("the load did not end within {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", first_lines(&String::from_utf8_lossy(&output.stderr)));
    Ok(String::from_utf8(output.stdout)?)
}

/// An error of the load without its backtrace, on one line.
fn first_lines(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Stack backtrace"));
    lines.filter(|line| !line.is_empty() && *line != "Caused by:").collect::<Vec<_>>().join(": ")
}
