//! `cargo xtask interop nano`: nodes of Go's nano and ours in one cluster, whoever is its master and whoever serves.
//!
//! Go nodes are `interop/go-nano` around nano itself, ours the example `nano_node` of `dunlin`. Each row is a cluster of its own, which lives
//! through its claims, one after another, and ends with the first one that does not hold.
//!
//! - `nano/go_serves.rs`, `nano/dunlin_serves.rs`, `nano/go_alone.rs`: what must hold. Start here.
//! - `nano/lab.rs`, `nano/node.rs`, `nano/client.rs`: what claims are made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use super::drivers::succeed;
use crate::programs::{build, root};
use crate::table::{Cell, Row, Seen, Table};

mod client;
mod dunlin_serves;
mod go_alone;
mod go_serves;
mod lab;
mod node;

use lab::{Lab, Side};

/// What `interop nano` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct NanoArgs {
    /// That nano cannot be had here (no Go, no module proxy) is no failure.
    #[arg(long)]
    allow_missing: bool,
    /// Makes only the claims whose name contains this, and those that the others stand on.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Runs another nano as well: the one that is checked out here.
    #[arg(long, value_name = "DIR")]
    checkout: Option<PathBuf>,
    /// Leaves what the nodes wrote and said where it is, also when all claims hold.
    #[arg(long)]
    keep: bool,
}

type Claim = (&'static str, fn(&mut Lab) -> Result<Seen>);

/// A kind of cluster.
struct Kind {
    name: &'static str,
    master: Side,
    claims: &'static [Claim],
}

const KINDS: [Kind; 5] = [
    Kind { name: "go behind dunlin, master dunlin", master: Side::Dunlin, claims: &go_serves::CLAIMS },
    Kind { name: "go behind dunlin, master go", master: Side::Go, claims: &go_serves::CLAIMS },
    Kind { name: "dunlin behind go, master dunlin", master: Side::Dunlin, claims: &dunlin_serves::CLAIMS },
    Kind { name: "dunlin behind go, master go", master: Side::Go, claims: &dunlin_serves::CLAIMS },
    Kind { name: "go behind go, master dunlin", master: Side::Dunlin, claims: &go_alone::CLAIMS },
];

/// Makes the run.
///
/// # Errors
///
/// When a claim does not hold, nano cannot be had, or our node does not build.
pub(crate) fn run(args: &NanoArgs) -> Result<()> {
    let root = root()?;
    let dunlin = build(&root, "dunlin", ("--example", "nano_node"))?;
    let dir = std::env::temp_dir().join(format!("dunlin-interop-nano-{}", std::process::id()));
    let mut gos = vec![("nano 0.5.0", build_go(&root, None))];
    if let Some(checkout) = &args.checkout {
        gos.push(("nano, checked out", build_go(&root, Some((checkout, &dir)))));
    }
    let mut rows = Vec::new();
    for ((name, go), kind) in gos.iter().flat_map(|go| KINDS.iter().map(move |kind| (go, kind))) {
        let dir = dir.join(format!("{name}, {}", kind.name).replace([' ', ','], "-"));
        rows.push(match go {
            Ok(go) => row((*name, go), &dunlin, &dir, (kind, args.only.as_deref())),
            Err(error) => Row::missing(name, kind.name, &format!("{error:#}")),
        });
    }
    let table = Table { heads: ["go nodes", "cluster"], rows };
    table.print();
    table.verdict(args.allow_missing)?;
    if !args.keep {
        // There is none when nothing was run; that of a run that failed stays, with what the nodes said.
        drop(fs::remove_dir_all(&dir));
    }
    Ok(())
}

fn row((name, go): (&str, &Path), dunlin: &Path, dir: &Path, (kind, only): (&Kind, Option<&str>)) -> Row {
    let mut cells = Vec::new();
    let mut lab = match Lab::new((go.to_owned(), dunlin.to_owned()), dir, kind.master) {
        Ok(lab) => lab,
        Err(error) => return Row::missing(name, kind.name, &format!("{error:#}")),
    };
    // The first claim is that there is a cluster.
    let is_wanted = |place: usize, claim: &str| place == 0 || only.is_none_or(|only| claim.contains(only));
    for (place, (claim, make)) in kind.claims.iter().enumerate() {
        if !is_wanted(place, claim) {
            continue;
        }
        let made = make(&mut lab);
        let made = made.map_err(|error| anyhow!("{error:#}; what the nodes said: {}", dir.display()));
        let is_over = made.is_err();
        cells.push(Cell { claim: (*claim).to_owned(), outcome: made.into() });
        if is_over {
            break;
        }
    }
    Row { client: name.to_owned(), server: kind.name.to_owned(), cells, missing: None }
}

/// Builds the Go node, with the nano that its module names or with one that is checked out somewhere.
fn build_go(root: &Path, checkout: Option<(&Path, &Path)>) -> Result<PathBuf> {
    let module = root.join("interop/go-nano");
    let Some((checkout, dir)) = checkout else {
        let program = module.join("bin/node");
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(&program).arg(".").current_dir(&module);
        succeed(go, "go build")?;
        return Ok(program);
    };
    fs::create_dir_all(dir)?;
    let (file, program) = (dir.join("checkout.mod"), dir.join("checkout-node"));
    for (from, to) in [("go.mod", "checkout.mod"), ("go.sum", "checkout.sum")] {
        fs::copy(module.join(from), dir.join(to))?;
    }
    let checkout = checkout.canonicalize().context("there is no such checkout")?;
    let replace = format!("-replace=github.com/lonng/nano={}", checkout.display());
    let file_arg = format!("-modfile={}", file.display());
    let go = |args: &[&str]| {
        let mut go = Command::new("go");
        go.args(args).current_dir(&module);
        succeed(go, &format!("go {}", args[0]))
    };
    go(&["mod", "edit", &replace, &file.display().to_string()])?;
    go(&["mod", "tidy", &file_arg])?;
    go(&["build", &file_arg, "-o", &program.display().to_string(), "."])?;
    Ok(program)
}
