//! The simulation on the command line: some seeds, one seed with its trace, or the catalogue of bugs. `cargo xtask sim` runs it.
//! `cargo xtask faults` has it judge what clients of real members saw.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use dunlin_sim::{Bug, Judged, Keep, Report, find, judge_registers, run};

/// How long a bug is looked for.
const BUG_TIME_MAX: Duration = Duration::from_secs(30);

/// Simulates groups of members.
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs so many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Runs this seed alone, and says everything that happened.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Builds this bug of the catalogue in.
    #[arg(long, value_parser = bug_named)]
    bug: Option<Bug>,
    /// Looks for each bug of the catalogue.
    #[arg(long)]
    catalogue: bool,
    /// Runs nothing, and judges what clients of real members saw, as it stands in this file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "from", "seed", "bug", "catalogue"])]
    judge: Option<PathBuf>,
}

fn bug_named(name: &str) -> Result<Bug, String> {
    let names = || Bug::ALL.iter().map(|bug| bug.name()).collect::<Vec<_>>().join(", ");
    Bug::named(name).ok_or_else(|| format!("there is no bug of that name; there are {}", names()))
}

fn main() -> ExitCode {
    // What panics is said by the run in which it did.
    std::panic::set_hook(Box::new(|_| {}));
    let arguments = Arguments::parse();
    let is_well = match arguments {
        Arguments { judge: Some(file), .. } => judge(&file),
        Arguments { catalogue: true, from, .. } => run_catalogue(from),
        Arguments { seed: Some(seed), bug, .. } => replay(seed, bug),
        Arguments { from, seeds, bug, .. } => run_seeds(from..from.saturating_add(seeds), bug),
    };
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "it is the output of this program")]
fn run_seeds(seeds: std::ops::Range<u64>, bug: Option<Bug>) -> bool {
    let begin = Instant::now();
    let (mut count, mut steps, mut messages, mut committed, mut acts) = (0_u64, 0, 0, 0, 0);
    for seed in seeds {
        let report = run(seed, bug, Keep::Nothing);
        if report.wrong.is_some() {
            print_wrong(&run(seed, bug, Keep::Last), bug);
            return false;
        }
        count += 1;
        steps += report.steps;
        messages += report.messages;
        committed += report.committed;
        acts += report.acts;
    }
    let took = begin.elapsed().as_secs_f64();
    println!(
        "{count} seeds in {took:.1} s, nothing wrong: {:.1} seeds/s, {:.0} steps/s; {steps} steps, {messages} messages, {committed} \
         entries committed, {acts} acts of clients judged",
        count as f64 / took,
        steps as f64 / took,
    );
    true
}

#[expect(clippy::print_stdout, reason = "it is the output of this program")]
fn replay(seed: u64, bug: Option<Bug>) -> bool {
    let report = run(seed, bug, Keep::All);
    report.events.iter().for_each(|event| println!("{event}"));
    println!(
        "seed {seed}: trace {:016x}, {} steps, {} acts of clients",
        report.trace, report.steps, report.acts
    );
    if let Some((checker, text)) = &report.wrong {
        println!("wrong: {checker}: {text}");
    }
    report.wrong.is_none()
}

#[expect(clippy::print_stdout, reason = "it is the output of this program")]
fn print_wrong(report: &Report, bug: Option<Bug>) {
    println!("what happened last:");
    report.events.iter().for_each(|event| println!("{event}"));
    if let Some((checker, text)) = &report.wrong {
        println!("seed {} is wrong: {checker}: {text}", report.seed);
    }
    let bug = bug.map_or_else(String::new, |bug| format!(" --bug {}", bug.name()));
    println!("to see all of it: cargo xtask sim --seed {}{bug}", report.seed);
}

#[expect(clippy::print_stdout, reason = "it is the output of this program")]
fn judge(file: &Path) -> bool {
    let read = || std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
    match read().and_then(|text| judge_registers(&text)) {
        Ok(Judged { keys, acts, open, open_done, .. }) => {
            println!(
                "{acts} acts on {keys} keys linearizable; {open} puts without an answer, {open_done} of them done"
            );
            true
        }
        Err(error) => {
            println!("{error:#}");
            false
        }
    }
}

#[expect(clippy::print_stdout, reason = "it is the output of this program")]
fn run_catalogue(from: u64) -> bool {
    println!("| bug | seeds | seconds | checker | what it said |\n|---|---|---|---|---|");
    let mut missed = 0;
    for bug in Bug::ALL {
        let found = find(*bug, from, BUG_TIME_MAX);
        let (checker, text) = found.by.map_or_else(
            || {
                missed += 1;
                ("NOT FOUND".to_owned(), String::new())
            },
            |(seed, checker, text)| (checker, format!("seed {seed}: {text}")),
        );
        let seconds = found.took.as_secs_f64();
        println!("| {} | {} | {seconds:.2} | {checker} | {text} |", bug.name(), found.seeds);
    }
    println!("{} bugs, {missed} not found", Bug::ALL.len());
    missed == 0
}
