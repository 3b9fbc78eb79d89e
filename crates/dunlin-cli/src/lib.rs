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
//! `cli.rs` is what can be asked of it, `serve/` a node with its settings in `config/` and its log in `logs.rs`, `demo/` the pond that already moves,
//! `cluster/` what is asked of a cluster.

mod bench;
mod certs;
mod cli;
mod client;
mod cluster;
mod config;
mod demo;
mod logs;
mod new;
mod serve;
mod target;
mod values;

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use dunlin::App;

use crate::cli::{Cli, Command, DemoArgs};
use crate::client::ClientArgs;
use crate::cluster::Question;
use crate::demo::{Banner, Demo};

/// Does what the command line asks for, with this application where one is to be served. It returns when that is done.
#[must_use]
pub fn run(app: App) -> ExitCode {
    let command = Cli::parse().command;
    // A node logs as its settings say.
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| default_level(&command).to_owned());
    if !matches!(command, Command::Serve(_))
        && let Err(error) = logs::init(logs::Format::Human, &level, None)
    {
        writeln!(stderr(), "error: {:#}", anyhow::Error::from(error)).ok();
        return ExitCode::FAILURE;
    }
    let done = match command {
        Command::CheckConfig(args) => serve::check(&args, &app),
        Command::Serve(args) => serve::run(&args, app),
        Command::Bench(args) => bench::run(&args, &mut stdout()),
        Command::Certs(args) => certs::run(&args, &mut stdout()).map(|()| ExitCode::SUCCESS),
        Command::Client(args) => talk(&args),
        Command::Demo(args) => run_demo(&args).map(|()| ExitCode::SUCCESS),
        Command::Drain(args) => ask(Question::Drain(args)),
        Command::Kv(args) => ask(Question::Kv(args)),
        Command::Leader(args) => ask(Question::Leader(args)),
        Command::Members(args) => ask(Question::Members(args)),
        Command::New(args) => new::run(&args, &mut stdout()).map(|()| ExitCode::SUCCESS),
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

/// What is logged unless it is said otherwise. What is broken on purpose in the demo, and what comes of it, is told by its page.
const fn default_level(command: &Command) -> &'static str {
    match command {
        Command::Demo(_) => "error",
        _ => "warn",
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().context("the system gives no runtime")
}

fn ask(question: Question) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(cluster::run(question))
}

fn talk(args: &ClientArgs) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(client::run(args))
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
