//! `cargo xtask interop raft`: two members of one cluster, ours and etcd's, and a judge between them.
//!
//! The members are programs that do what they are told, line by line, and tell what they saw: the example `raft_peer` of
//! `dunlin-rafthttp`, and `interop/go-etcd` around etcd's own package. They take the same commands, so every claim is written
//! once and made in both directions. A tap before each of them sees which way a message really took, and how it was answered.
//!
//! - `raft/claims.rs`: what must hold while both get along. Start here.
//! - `raft/lives.rs`: what must hold when one of them is silent, dies or leaves.
//! - `raft/refusals.rs`: what must hold when they do not.
//! - `raft/member.rs`, `raft/tap.rs`, `raft/messages.rs`: what claims are made of.

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Result, ensure};

use super::etcd::{Etcd, FOLDERS};
use crate::programs::{build, root};
use crate::table::{Cell, Row, Seen, Table};

mod claims;
mod lab;
mod lives;
mod member;
mod messages;
mod refusals;
mod tap;

use lab::{Direction, Lab};

/// What `interop raft` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct RaftArgs {
    /// A version of etcd that cannot be had here (no Go, no module proxy) is no failure.
    #[arg(long)]
    allow_missing: bool,
    /// Makes only claims whose name contains this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

type Claim = fn(&Lab) -> Result<Seen>;

/// The claims, in the order of the table.
const CLAIMS: [(&str, Claim); 13] = [
    ("streams", claims::streams),
    ("pipeline", claims::pipeline),
    ("order", claims::order),
    ("snapshot", claims::snapshot),
    ("cut snapshot", claims::cut_snapshot),
    ("silence", lives::silence),
    ("probing", lives::probing),
    ("sender dies", lives::sender_dies),
    ("receiver dies", lives::receiver_dies),
    ("farewell", lives::farewell),
    ("removed", refusals::removed),
    ("cluster", refusals::cluster),
    ("version", refusals::version),
];

/// Makes the run.
///
/// # Errors
///
/// When a claim does not hold, a version of etcd cannot be had, or our member does not build.
pub(crate) fn run(args: &RaftArgs) -> Result<()> {
    let root = root()?;
    let dunlin = build(&root, "dunlin-rafthttp", ("--example", "raft_peer"))?;
    let etcds: Vec<Etcd> =
        FOLDERS.iter().map(|folder| Etcd::build(&root, "go-etcd", folder)).collect::<Result<_>>()?;
    let dir = std::env::temp_dir().join(format!("dunlin-interop-raft-{}", std::process::id()));
    let is_wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    ensure!(CLAIMS.iter().any(|(claim, _)| is_wanted(claim)), "no claim is called so");
    let rows = thread::scope(|scope| {
        let mut runs = Vec::new();
        for etcd in &etcds {
            for direction in [Direction::ToEtcd, Direction::ToDunlin] {
                let (dunlin, dir) = (&dunlin, &dir);
                let run = scope.spawn(move || row(etcd, direction, (dunlin, dir), &is_wanted));
                runs.push((etcd, direction, run));
            }
        }
        let rows = runs.into_iter().map(|(etcd, direction, run)| {
            let ended_badly = |_| Row::missing(&etcd.name(), direction.as_str(), "the judge panicked");
            run.join().unwrap_or_else(ended_badly)
        });
        rows.collect::<Vec<_>>()
    });
    // There is none when nothing was run.
    drop(fs::remove_dir_all(&dir));
    let table = Table { heads: ["peer", "direction"], rows };
    table.print();
    table.verdict(args.allow_missing)
}

fn row(
    etcd: &Etcd,
    direction: Direction,
    (dunlin, dir): (&Path, &Path),
    is_wanted: &(dyn Fn(&str) -> bool + Sync),
) -> Row {
    let name = etcd.name();
    let program = match &etcd.program {
        Ok(program) => program,
        Err(why) => return Row::missing(&name, direction.as_str(), why),
    };
    let mut cells = Vec::new();
    for (claim, make) in CLAIMS.into_iter().filter(|(claim, _)| is_wanted(claim)) {
        let dir = dir.join(&etcd.version).join(direction.as_str()).join(claim);
        let (dunlin, etcd_version) = (dunlin.to_owned(), etcd.version.clone());
        let lab = Lab { direction, dunlin, etcd: program.clone(), etcd_version, dir };
        cells.push(Cell { claim: claim.to_owned(), outcome: make(&lab).into() });
    }
    Row { client: name, server: direction.as_str().to_owned(), cells, missing: None }
}
