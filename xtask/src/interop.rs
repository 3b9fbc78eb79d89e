//! `cargo xtask interop`: ours, and what other people wrote.
//!
//! `clients` starts the server example, lets every client make the same claims about it, and prints a table. What a claim
//! means is decided by the drivers in `interop/js` and `interop/go` and by the script in `interop/golden`; here they
//! are only run, in bounded time, and counted. Read next: `interop/drivers.rs`.
//!
//! `raft` lets a member of ours and one of etcd's send each other messages: `interop/raft.rs`. `mixed` makes whole groups of
//! both: `interop/mixed.rs`. `registry` makes the claims about registries of a cluster of etcd's servers: `interop/registry.rs`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

mod drivers;
mod etcd;
mod mixed;
mod process;
mod raft;
mod registry;
mod server;
mod table;

use server::Server;
use table::{Outcome, Row, Table};

/// How long building a program may take on a cold machine.
const BUILD_TIME: Duration = Duration::from_secs(1200);

/// Which interop run to make.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Interop {
    /// Lets third-party clients talk to a gate of ours.
    Clients(ClientsArgs),
    /// Lets a member of ours and etcd's rafthttp send each other messages.
    Raft(raft::RaftArgs),
    /// Lets groups of two members of etcd's parts and one of ours lead, write, die, join and leave.
    Mixed(mixed::MixedArgs),
    /// Makes the claims about registries of three servers of etcd's, of which some die.
    Registry(registry::RegistryArgs),
}

/// What `interop clients` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct ClientsArgs {
    /// A client that cannot be had here (no Node, no Go, no registry) is no failure.
    #[arg(long)]
    allow_missing: bool,
    /// Runs only clients whose name contains this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Uses a server that is running already, as NAME=ADDR pairs such as `plain=127.0.0.1:3250`, instead of the example.
    #[arg(long, value_name = "NAME=ADDR", value_delimiter = ',')]
    server: Vec<String>,
}

impl Interop {
    /// Makes the run.
    ///
    /// # Errors
    ///
    /// When a claim does not hold, a client or peer cannot be had, or ours does not start.
    pub(crate) fn run(&self) -> Result<()> {
        match self {
            Self::Clients(args) => clients(args),
            Self::Raft(args) => raft::run(args),
            Self::Mixed(args) => mixed::run(args),
            Self::Registry(args) => registry::run(args),
        }
    }
}

fn clients(args: &ClientsArgs) -> Result<()> {
    let root = root()?;
    let server = if args.server.is_empty() {
        Server::start(&build(&root, "dunlin", ("--example", "interop_server"))?)?
    } else {
        Server::given(&args.server)?
    };
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only.as_str()));

    // The script goes first and alone; its row comes last, after the clients whose claims most rows share.
    let golden = if wanted(drivers::GOLDEN) { drivers::golden(&root, &server)? } else { Vec::new() };
    let mut table = Table { heads: ["client", "server"], rows: drivers::live(&root, &server, &wanted) };
    table.rows.extend(golden);
    table.print();
    drop(server);
    verdict(&table.rows, args.allow_missing)
}

fn verdict(rows: &[Row], allows_missing: bool) -> Result<()> {
    let cells = || rows.iter().flat_map(|row| &row.cells);
    let failed = cells().filter(|cell| matches!(cell.outcome, Outcome::Failed(_))).count();
    let missing = rows.iter().filter(|row| row.missing.is_some()).count();
    if failed > 0 {
        bail!("{failed} claims do not hold");
    }
    if missing > 0 && !allows_missing {
        bail!("{missing} rows were not run; say --allow-missing where that is no failure");
    }
    if rows.iter().all(|row| row.missing.is_some()) && !allows_missing {
        bail!("nothing was run");
    }
    Ok(())
}

/// The folder of the workspace.
fn root() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(manifest.parent().context("xtask lies in the workspace")?.to_owned())
}

/// Builds a program that is under test, an `--example` or a `--bin`, and says where it is.
fn build(root: &Path, package: &str, (kind, name): (&str, &str)) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command.current_dir(root);
    command.args(["build", "--package", package, kind, name]);
    command.args(["--message-format", "json-render-diagnostics"]);
    let built = process::run(command, BUILD_TIME).with_context(|| format!("cannot build {name}"))?;
    if !built.is_success {
        bail!("{name} does not build:\n{}", built.stderr);
    }
    let messages =
        built.stdout.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut programs = messages.filter(|message| message["target"]["name"] == name);
    let program = programs.next_back();
    let executable = program.as_ref().and_then(|message| message["executable"].as_str());
    Ok(executable.with_context(|| format!("cargo does not name {name}"))?.into())
}
