//! What can be asked of a cluster that runs: its nodes, its voters, its key-value store.
//!
//! `args.rs` is the command line, `reach.rs` how voters are reached, `kv.rs` keys, `members.rs` voters and nodes. Standard output has what was asked for and nothing else, as lines for people or as
//! JSON, one value a line.

mod args;
mod kv;
mod members;
mod reach;

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::{Context, Result};

pub(crate) use self::args::{DrainArgs, KvArgs, LeaderArgs, MembersArgs, NodesArgs};
use self::reach::registry;

/// What `kv get` ends with when there is no such key.
const NOT_FOUND: u8 = 3;

/// What is asked.
pub(crate) enum Question {
    Drain(DrainArgs),
    Kv(KvArgs),
    Leader(LeaderArgs),
    Members(MembersArgs),
    Nodes(NodesArgs),
}

/// Asks it, and prints the answer.
pub(crate) async fn run(question: Question) -> Result<ExitCode> {
    match question {
        Question::Drain(args) => members::drain(&registry(&args.at)?, &args).await,
        Question::Kv(args) => kv::run(&registry(&args.at)?, &args, &mut stdout()).await,
        Question::Leader(args) => members::transfer(&registry(&args.at)?, &args).await,
        Question::Members(args) => members::members(&registry(&args.at)?, &args, &mut stdout()).await,
        Question::Nodes(args) => members::nodes(&registry(&args.at)?, &args, &mut stdout()).await,
    }
}

/// A line of the answer. Whoever closed standard output does not want to read it.
fn say(out: &mut impl Write, line: std::fmt::Arguments<'_>) -> Result<()> {
    writeln!(out, "{line}").context("standard output is closed")
}
