//! `cargo xtask interop registry`: the suite of claims about a registry, made about a cluster of etcd's servers.
//!
//! The claims are those of `dunlin-registry`, made by the example `conform` of `dunlin-etcd`; here three servers are started, one is killed and
//! comes back, and what held is counted. Servers are those of the path, such as Debian's, and otherwise built from the module of the bench.
//!
//! - `registry/servers.rs`: the servers as processes, and where they come from.
//! - `registry/suite.rs`: the example, asked for one round after another.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::programs::{build, root};
use crate::table::{Cell, Outcome, Row, Table};

mod servers;
mod suite;

use servers::{Cluster, Server};
use suite::{Held, Suite};

/// What `interop registry` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct RegistryArgs {
    /// That no server of etcd's can be had here (none in the path, no Go, no module proxy) is no failure.
    #[arg(long)]
    allow_missing: bool,
}

/// What happens before a round.
type Happens = fn(&mut Cluster) -> Result<()>;

/// The rounds, and what happens before each. The first member is whom clients ask first.
const ROUNDS: [(&str, Happens); 4] = [
    ("three members", |_| Ok(())),
    ("first killed", |cluster| cluster.kill(0)),
    ("another killed", |cluster| {
        cluster.start(0)?;
        cluster.wait_listening(0)?;
        cluster.kill(1)
    }),
    ("all back", |cluster| {
        cluster.start(1)?;
        cluster.wait_listening(1)
    }),
];

/// Makes the run.
///
/// # Errors
///
/// When a claim does not hold, no server can be had, or our program does not build.
pub(crate) fn run(args: &RegistryArgs) -> Result<()> {
    let root = root()?;
    let program = build(&root, "dunlin-etcd", ("--example", "conform"))?;
    let dir = std::env::temp_dir().join(format!("dunlin-interop-registry-{}", std::process::id()));
    let rows = match Server::find(&root) {
        Ok(server) => live(&server, &program, &dir),
        Err(why) => vec![Row::missing("etcd", ROUNDS[0].0, &format!("missing: {why:#}"))],
    };
    // There is none when nothing was run.
    drop(fs::remove_dir_all(&dir));
    let table = Table { heads: ["server", "cluster"], rows };
    table.print();
    table.verdict(args.allow_missing)
}

/// A row for each round, up to the first that comes to no end.
fn live(server: &Server, program: &Path, dir: &Path) -> Vec<Row> {
    let row =
        |round: &str, cells| Row { client: server.name(), server: round.to_owned(), cells, missing: None };
    let failed = |error: anyhow::Error| {
        vec![Cell { claim: "runs".to_owned(), outcome: Outcome::Failed(format!("{error:#}")) }]
    };
    let mut rows = Vec::new();
    let started = Cluster::start_all(server, dir).and_then(|cluster| {
        let suite = Suite::start(program, &cluster.urls())?;
        Ok((cluster, suite))
    });
    let (mut cluster, mut suite) = match started {
        Ok(started) => started,
        Err(error) => return vec![row(ROUNDS[0].0, failed(error))],
    };
    for (round, happens) in ROUNDS {
        match happens(&mut cluster).and_then(|()| suite.round()) {
            Ok(held) => rows.push(row(round, cells(held))),
            Err(error) => {
                rows.push(row(round, failed(error)));
                break;
            }
        }
    }
    rows
}

/// A cell for each family of claims, in the order of their first appearance.
fn cells(held: Vec<Held>) -> Vec<Cell> {
    let mut families: Vec<(String, Vec<Held>)> = Vec::new();
    for held in held {
        match families.iter_mut().find(|(family, _)| *family == held.family) {
            Some((_, members)) => members.push(held),
            None => families.push((held.family.clone(), vec![held])),
        }
    }
    families.into_iter().map(|(claim, held)| Cell { claim, outcome: outcome(&held) }).collect()
}

fn outcome(held: &[Held]) -> Outcome {
    let wrong: Vec<String> =
        held.iter().filter_map(|held| Some(format!("{}: {}", held.claim, held.why.as_ref()?))).collect();
    if wrong.is_empty() {
        return Outcome::Held(held.len().to_string());
    }
    Outcome::Failed(wrong.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_holds_when_all_of_its_claims_do() {
        let held = |family: &str, claim: &str, why: Option<&str>| Held {
            family: family.to_owned(),
            claim: claim.to_owned(),
            why: why.map(ToOwned::to_owned),
        };
        let cells = cells(vec![
            held("keys", "one", None),
            held("txns", "two", None),
            held("keys", "three", None),
            held("txns", "four", Some("it does not")),
        ]);
        let seen: Vec<_> = cells.iter().map(|cell| (cell.claim.as_str(), &cell.outcome)).collect();
        let (good, bad) = (Outcome::Held("2".into()), Outcome::Failed("four: it does not".into()));
        assert_eq!(seen, [("keys", &good), ("txns", &bad)]);
    }
}
