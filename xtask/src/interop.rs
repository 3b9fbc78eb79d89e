//! `cargo xtask interop`: ours, and what other people wrote.
//!
//! `clients` starts the server example, lets every client make the same claims about it, and prints a table. What a claim
//! means is decided by the drivers in `interop/js` and `interop/go` and by the script in `interop/golden`; here they
//! are only run, in bounded time, and counted. Read next: `interop/drivers.rs`.
//!
//! `raft` lets a member of ours and one of etcd's send each other messages: `interop/raft.rs`. `mixed` makes whole groups of
//! both: `interop/mixed.rs`. `registry` makes the claims about registries of a cluster of etcd's servers: `interop/registry.rs`. `nano` makes
//! clusters of Go's nano and ours: `interop/nano.rs`. `metrics` has a node's metrics read by Prometheus's parser: `interop/metrics.rs`.

use anyhow::Result;

mod drivers;
mod etcd;
mod metrics;
mod mixed;
mod nano;
mod raft;
mod registry;
mod server;

use crate::programs::{build, root};
use crate::table::Table;
use server::Server;

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
    /// Lets nodes of Go's nano and ours be one cluster.
    Nano(nano::NanoArgs),
    /// Lets Prometheus's own parser read what a node says of itself.
    Metrics(metrics::MetricsArgs),
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
            Self::Nano(args) => nano::run(args),
            Self::Metrics(args) => metrics::run(args),
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
    table.verdict(args.allow_missing)
}
