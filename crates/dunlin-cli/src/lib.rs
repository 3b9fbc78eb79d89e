//! The `dunlin` command, and the same command line for programs with services of their own.
//!
//! ```no_run
//! use dunlin::{App, Raw};
//!
//! fn main() -> std::process::ExitCode {
//!     dunlin_cli::run(App::new().route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) }))
//! }
//! ```
//!
//! `cli.rs` is what can be asked of it, `demo/` the pond that already moves, `cluster/` what is asked of a cluster.

mod cli;
mod cluster;
mod demo;

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use dunlin::App;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, DemoArgs};
use crate::cluster::Question;
use crate::demo::{Banner, Demo};

/// Does what the command line asks for, with this application where one is to be served. It returns when that is done.
#[must_use]
pub fn run(app: App) -> ExitCode {
    // Nothing serves it yet.
    drop(app);
    let command = Cli::parse().command;
    // What is broken on purpose there, and what comes of it, is told by the page.
    write_logs(if matches!(command, Command::Demo(_)) { "error" } else { "warn" });
    let done = match command {
        Command::Demo(args) => run_demo(&args).map(|()| ExitCode::SUCCESS),
        Command::Drain(args) => ask(Question::Drain(args)),
        Command::Kv(args) => ask(Question::Kv(args)),
        Command::Leader(args) => ask(Question::Leader(args)),
        Command::Members(args) => ask(Question::Members(args)),
        Command::Nodes(args) => ask(Question::Nodes(args)),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to be told when stderr is closed as well.
            writeln!(stderr(), "error: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Logs go to stderr, so that stdout has what was asked for and nothing else. Without `RUST_LOG` they begin at this level.
fn write_logs(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        .init();
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().context("the system gives no runtime")
}

fn ask(question: Question) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(cluster::run(question))
}

/// Clients are served by the shards' own threads; bots have one of their own, and this runtime has the links and the voters.
fn run_demo(args: &DemoArgs) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let demo = Demo::start(args).await?;
        let is_styled = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let banner = Banner { demo: &demo, is_styled };
        // Whoever closed stdout does not want to read, but may still want the server.
        write!(stdout(), "{banner}").and_then(|()| stdout().flush()).ok();
        demo.run().await
    })
}
