//! `cargo xtask faults`: programs of ours as processes, clients, and what happens to processes, disks and networks.
//!
//! Of the registry it is three members with 64 clients; of a whole cluster see `faults/cluster.rs`.
//!
//! The simulation (`cargo xtask sim`) looks for what the state machines do wrong in any order of events; here the shell around them is
//! on trial, with real signals, system calls and packets. Each case is a group of its own: clients write and read through all
//! members while something happens to them, and in the end nothing that was acknowledged may be lost, what clients saw must be
//! linearizable, and all members must have the same. What a machine does not allow is said to be not run.
//!
//! - `faults/lives.rs`, `faults/disks.rs`, `faults/network.rs`: the cases. Start here.
//! - `faults/clients.rs`: who writes and reads. `faults/verdict.rs`: what must hold in the end.
//! - `faults/trio.rs`, `faults/apart.rs`: the group, and the place where it runs.
//! - `faults/cluster.rs`: the same for gates, backends and voters.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::programs::{build_release, root};
use crate::table::{Cell, Outcome, Row, Seen, Table};

mod apart;
mod clients;
mod cluster;
mod disks;
mod lives;
mod network;
mod trio;
mod verdict;

use clients::Book;
use trio::{Plans, Trio};

/// What `faults` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct FaultsArguments {
    /// Of what.
    #[arg(value_enum, default_value_t = Of::Registry)]
    of: Of,
    /// How long each case lasts. Default: 30 for the registry, 15 for a cluster.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(5..=3600))]
    seconds: Option<u64>,
    /// How many clients a cluster has.
    #[arg(long, default_value_t = 1_000)]
    clients: usize,
    /// Runs only cases whose name contains this.
    #[arg(long, value_name = "CASE")]
    only: Option<String>,
    /// Leaves what the members wrote and said where it is, also when everything holds.
    #[arg(long)]
    keep: bool,
    /// What the place apart is told: the folder of the run, and the programs.
    #[arg(long, hide = true, num_args = 2..=3)]
    apart: Vec<PathBuf>,
}

/// To whom it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Of {
    /// Three members of the registry.
    Registry,
    /// Voters, gates and backends.
    Cluster,
}

/// Where everything happens, and with what.
#[derive(Debug)]
struct Setting {
    dir: PathBuf,
    member: PathBuf,
    judge: PathBuf,
    ground: Ground,
}

/// Something that happens.
struct Case {
    name: &'static str,
    what: &'static str,
    /// Makes the machine ready, or says why it cannot be.
    prepare: fn(&Ground, &mut Plans) -> Result<(), String>,
    play: fn(&mut Scene<'_>) -> Result<Seen>,
}

/// What this machine allows.
#[derive(Debug)]
enum Ground {
    /// Everything that can be done in namespaces of our own.
    Apart,
    /// Nothing that others could notice, and why there are no namespaces.
    Shared(String),
}

/// A case while it is played.
struct Scene<'a> {
    trio: Trio,
    book: &'a Book,
    begin: Instant,
    length: Duration,
}

const CASES: [Case; 6] = [
    Case { name: "kill", what: "kill -9 of the leader", prepare: anywhere, play: lives::kills },
    Case { name: "stop", what: "SIGSTOP of the leader", prepare: anywhere, play: lives::stops },
    Case { name: "one-way", what: "packets lost one way", prepare: network::prepare, play: network::one_way },
    Case { name: "full", what: "no room on a disk", prepare: disks::prepare_full, play: disks::full },
    Case { name: "eio", what: "fsync fails with EIO", prepare: disks::prepare_eio, play: disks::eio },
    Case { name: "rolling", what: "restarts in turn", prepare: anywhere, play: lives::restarts },
];

fn anywhere(_: &Ground, _: &mut Plans) -> Result<(), String> {
    Ok(())
}

/// Makes the run.
///
/// # Errors
///
/// When something does not hold, or a program does not build.
pub(crate) fn run(arguments: &FaultsArguments) -> Result<()> {
    if let [dir, programs @ ..] = arguments.apart.as_slice() {
        apart::settle()?;
        return run_cases(arguments, dir, programs, Ground::Apart);
    }
    let root = root()?;
    let programs = match arguments.of {
        Of::Registry => vec![
            build_release(&root, "raftkv-example", ("--bin", "raftkv"))?,
            build_release(&root, "dunlin-sim", ("--bin", "dunlin-sim"))?,
        ],
        Of::Cluster => vec![build_release(&root, "dunlin-probe", ("--bin", "dunlin-probe"))?],
    };
    let dir = std::env::temp_dir().join(format!("dunlin-faults-{}", std::process::id()));
    match apart::probe() {
        Ok(()) => {
            let told = std::iter::once(&dir).chain(&programs).map(|path| path.display().to_string());
            apart::enter(&std::iter::once("--apart".to_owned()).chain(told).collect::<Vec<_>>())?;
        }
        Err(why) => run_cases(arguments, &dir, &programs, Ground::Shared(why))?,
    }
    if !arguments.keep {
        // That of a run that failed stays, with what the members said.
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

fn run_cases(arguments: &FaultsArguments, dir: &Path, programs: &[PathBuf], ground: Ground) -> Result<()> {
    let mut table = Table { heads: ["case", "what happens"], rows: Vec::new() };
    let seconds = |usual| arguments.seconds.unwrap_or(usual);
    let is_wanted = |name: &str, what: &str, seconds: u64| -> Result<bool> {
        let is_wanted = arguments.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
        if is_wanted {
            writeln!(std::io::stderr(), "{name}: {what}, {seconds} s")?;
        }
        Ok(is_wanted)
    };
    match (arguments.of, programs) {
        (Of::Registry, [member, judge]) => {
            let (member, judge) = (member.clone(), judge.clone());
            let setting = Setting { dir: dir.to_owned(), member, judge, ground };
            let seconds = seconds(30);
            for case in &CASES {
                if is_wanted(case.name, case.what, seconds)? {
                    table.rows.push(row(case, &setting, Duration::from_secs(seconds))?);
                }
            }
        }
        (Of::Cluster, [probe]) => {
            let (dir, probe, clients) = (dir.to_owned(), probe.clone(), arguments.clients);
            let seconds = seconds(15);
            let length = Duration::from_secs(seconds);
            let setting = cluster::Setting { dir, probe, ground, clients, length };
            for case in &cluster::CASES {
                if is_wanted(case.name, case.what, seconds)? {
                    table.rows.push(cluster::row(case, &setting)?);
                }
            }
        }
        _ => anyhow::bail!("the programs are not those of {:?}", arguments.of),
    }
    ensure!(!table.rows.is_empty(), "no case has such a name");
    table.print();
    // What a machine does not allow says so in the table.
    table.verdict(true)
}

fn row(case: &Case, setting: &Setting, length: Duration) -> Result<Row> {
    let dir = setting.dir.join(case.name);
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut plans = Plans::new(&setting.member, &dir)?;
    if let Err(why) = (case.prepare)(&setting.ground, &mut plans) {
        return Ok(Row::missing(case.name, case.what, &why));
    }
    let cells = live(case, plans, (&setting.judge, &dir), length);
    Ok(Row { client: case.name.to_owned(), server: case.what.to_owned(), cells, missing: None })
}

/// Lets a group live through a case, and judges it.
fn live(case: &Case, plans: Plans, (judge, dir): (&Path, &Path), length: Duration) -> Vec<Cell> {
    let book = Book::new();
    let played = Trio::start(plans).and_then(|trio| {
        let addrs = trio.addrs();
        let mut scene = Scene { trio, book: &book, begin: Instant::now(), length };
        let mut seen = None;
        book.during(&addrs, || {
            scene.sleep_until(0.1);
            seen = Some((case.play)(&mut scene)?);
            scene.sleep_until(1.0);
            Ok(())
        })?;
        let seen = seen.ok_or_else(|| anyhow!("it was not played"))?;
        Ok((scene.trio, seen))
    });
    let named = |claim: &str, outcome| Cell { claim: claim.to_owned(), outcome };
    match played {
        Ok((trio, seen)) => {
            let mut cells = vec![named("faults", Ok(seen).into())];
            let judged = verdict::judge(&trio, &book, judge, dir);
            cells.extend(judged.into_iter().map(|(claim, outcome)| named(claim, outcome)));
            cells
        }
        Err(error) => {
            vec![named(
                "faults",
                Outcome::Failed(format!("{error:#}; what the members said: {}", dir.display())),
            )]
        }
    }
}

impl Scene<'_> {
    /// Sleeps until so much of the case is over.
    fn sleep_until(&self, share: f64) {
        thread::sleep(self.left_until(share));
    }

    /// How much time there is until then.
    fn left_until(&self, share: f64) -> Duration {
        self.length.mul_f64(share).saturating_sub(self.begin.elapsed())
    }
}
