//! `cargo xtask interop mixed`: groups of two members made of etcd's parts and one of ours, and a judge that writes through all.
//!
//! Etcd's members are `interop/go-member`: its Raft core and its transport around a store that follows our commands. Ours is the
//! example `raftkv`. Both take the same flags and serve the same routes. A group lives through all claims, one after another, and
//! ends with the first one that does not hold.
//!
//! - `mixed/claims.rs`: what must hold while all members stay. Start here.
//! - `mixed/lives.rs`: what must hold when they die, or stand still.
//! - `mixed/members.rs`: what must hold when they join and leave.
//! - `mixed/equal.rs`: whether all have the same, and all that was acknowledged.
//! - `mixed/lab.rs`, `mixed/ledger.rs`: what claims are made of, besides members and their clients in `member.rs` and `http.rs`.

use std::fs;
use std::path::Path;

use anyhow::{Result, anyhow, ensure};

use super::etcd::{Etcd, FOLDERS};
use crate::programs::{build, root};
use crate::table::{Cell, Row, Seen, Table};

mod claims;
mod equal;
mod lab;
mod ledger;
mod lives;
mod members;

use lab::Lab;

/// What `interop mixed` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct MixedArgs {
    /// A version of etcd that cannot be had here (no Go, no module proxy) is no failure.
    #[arg(long)]
    allow_missing: bool,
    /// Runs only groups with a version of etcd that begins so, such as `3.5`.
    #[arg(long, value_name = "VERSION")]
    only: Option<String>,
    /// Writes that a group acknowledges in all.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    writes: usize,
    /// Leaves what the members wrote and said where it is, also when all claims hold.
    #[arg(long)]
    keep: bool,
}

type Claim = fn(&mut Lab) -> Result<Seen>;

/// The claims, in the order in which a group lives through them.
const CLAIMS: [(&str, Claim); 9] = [
    ("forms", claims::forms),
    ("leads", claims::leads),
    ("reads", claims::reads),
    ("kills", lives::kills),
    ("pauses", lives::pauses),
    ("joins", members::joins),
    ("removed", members::removes),
    ("writes", claims::writes),
    ("refusals", claims::refusals),
];

/// Makes the run.
///
/// # Errors
///
/// When a claim does not hold, a version of etcd cannot be had, or our member does not build.
pub(crate) fn run(args: &MixedArgs) -> Result<()> {
    let root = root()?;
    let dunlin = build(&root, "raftkv-example", ("--bin", "raftkv"))?;
    let etcds: Vec<Etcd> =
        FOLDERS.iter().map(|folder| Etcd::build(&root, "go-member", folder)).collect::<Result<_>>()?;
    let is_wanted = |etcd: &&Etcd| args.only.as_ref().is_none_or(|only| etcd.version.starts_with(only));
    let dir = std::env::temp_dir().join(format!("dunlin-interop-mixed-{}", std::process::id()));
    // One after the other: what is measured in elections suffers from neighbours.
    let rows: Vec<Row> =
        etcds.iter().filter(is_wanted).map(|etcd| row(etcd, &dunlin, &dir, args.writes)).collect();
    ensure!(!rows.is_empty(), "no version of etcd begins so");
    let table = Table { heads: ["two members", "and one"], rows };
    table.print();
    table.verdict(args.allow_missing)?;
    if !args.keep {
        // There is none when nothing was run; that of a run that failed stays, with what the members said.
        drop(fs::remove_dir_all(&dir));
    }
    Ok(())
}

fn row(etcd: &Etcd, dunlin: &Path, dir: &Path, writes: usize) -> Row {
    let (name, ours) = (etcd.name(), "dunlin");
    let program = match &etcd.program {
        Ok(program) => program,
        Err(why) => return Row::missing(&name, ours, why),
    };
    let dir = dir.join(&etcd.version);
    let cells = match Lab::new((program.clone(), dunlin.to_owned()), &dir, writes) {
        Ok(lab) => live(lab, &dir),
        Err(error) => vec![Cell { claim: "forms".to_owned(), outcome: Err(error).into() }],
    };
    Row { client: name, server: ours.to_owned(), cells, missing: None }
}

/// Lets a group live through the claims, up to the first one that does not hold.
fn live(mut lab: Lab, dir: &Path) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (claim, make) in CLAIMS {
        let made = make(&mut lab).map_err(|error| {
            let said = dir.join("ID/said");
            anyhow!("{error:#}; what the members said: {}", said.display())
        });
        let is_over = made.is_err();
        cells.push(Cell { claim: claim.to_owned(), outcome: made.into() });
        if is_over {
            break;
        }
    }
    cells
}
