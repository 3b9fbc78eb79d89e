//! The `dunlin` command. `cli.rs` is what can be asked of it, `demo/` the chat that already moves.

mod cli;
mod demo;

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, DemoArgs};
use crate::demo::{Banner, Demo};

fn main() -> ExitCode {
    let Command::Demo(args) = Cli::parse().command;
    write_logs();
    match run_demo(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told when stderr is closed as well.
            writeln!(stderr(), "error: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Logs go to stderr, so that stdout has what was asked for and nothing else.
fn write_logs() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        .init();
}

/// Clients are served by the shards' own threads; this runtime has the bots and the signals.
fn run_demo(args: &DemoArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the system gives no runtime")?;
    runtime.block_on(async {
        let demo = Demo::start(args).await?;
        let is_styled = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let banner = Banner { demo: &demo, is_styled };
        // Whoever closed stdout does not want to read, but may still want the server.
        write!(stdout(), "{banner}").and_then(|()| stdout().flush()).ok();
        demo.run().await
    })
}
