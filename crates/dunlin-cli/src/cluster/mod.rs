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

use anyhow::{Context, Error, Result, anyhow};
use dunlin_registry::RegistryError;
use dunlin_registry::grpc::RemoteRegistry;

use self::args::At;
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

impl Question {
    fn at(&self) -> &At {
        match self {
            Self::Drain(args) => &args.at,
            Self::Kv(args) => &args.at,
            Self::Leader(args) => &args.at,
            Self::Members(args) => &args.at,
            Self::Nodes(args) => &args.at,
        }
    }
}

/// Asks it, and prints the answer.
pub(crate) async fn run(question: Question) -> Result<ExitCode> {
    let registry = registry(question.at())?;
    let asked = ask(&registry, &question).await;
    asked.map_err(|error| advised(error, question.at()))
}

async fn ask(registry: &RemoteRegistry, question: &Question) -> Result<ExitCode> {
    match question {
        Question::Drain(args) => members::drain(registry, args).await,
        Question::Kv(args) => kv::run(registry, args, &mut stdout()).await,
        Question::Leader(args) => members::transfer(registry, args).await,
        Question::Members(args) => members::members(registry, args, &mut stdout()).await,
        Question::Nodes(args) => members::nodes(registry, args, &mut stdout()).await,
    }
}

/// The error with what can be done about it, where nobody answered.
fn advised(error: Error, at: &At) -> Error {
    match error.downcast_ref() {
        Some(RegistryError::TimedOut | RegistryError::NoLeader) => {
            let of_tls = match at.tls.tls_authority {
                Some(_) => ", and the files for TLS must be of the cluster's authority",
                None => "",
            };
            let (asked, timeout) = (at.at.join(", "), at.timeout);
            anyhow!(
                "{error:#}; asked was {asked} for {timeout:?}: --at names other voters, --timeout waits longer{of_tls}"
            )
        }
        _ => error,
    }
}

/// A line of the answer. Whoever closed standard output does not want to read it.
fn say(out: &mut impl Write, line: std::fmt::Arguments<'_>) -> Result<()> {
    writeln!(out, "{line}").context("standard output is closed")
}
