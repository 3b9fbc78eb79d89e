//! Chores of the workspace: `cargo xtask CHORE`. Each chore is a module with its arguments and one `run`.

mod abuse;
mod addrs;
mod bench;
mod faults;
mod golden;
mod http;
mod interop;
mod member;
mod process;
mod programs;
mod sim;
mod table;
mod tidy;
mod wait;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Chores of the dunlin workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Attack a gate that nobody has set up, and write down what happened.
    Abuse,
    /// Measure beside the peers.
    Bench(bench::BenchArguments),
    /// Let things happen to members of the registry, or to the nodes of a cluster, and look whether they keep what they promise.
    Faults(faults::FaultsArguments),
    /// Let clients that other people wrote talk to a gate of ours.
    #[command(subcommand)]
    Interop(interop::Interop),
    /// Run a group of members of the registry from seeds, with every fault there is.
    Sim(sim::SimArguments),
    /// Check the rules of the tree that no compiler checks.
    Tidy,
}

fn main() -> Result<()> {
    match Arguments::parse().chore {
        Chore::Abuse => abuse::run(),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Faults(arguments) => faults::run(&arguments),
        Chore::Interop(interop) => interop.run(),
        Chore::Sim(arguments) => sim::run(&arguments),
        Chore::Tidy => tidy::run(),
    }
}
