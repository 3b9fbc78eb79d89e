//! `cargo xtask interop metrics`: what a node says of itself, read by Prometheus's own parser.
//!
//! The node is the example of a cluster, alone; the parser is `interop/go-metrics`, which also says what must be there once a call was served.

use std::io::{Write as _, stderr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::drivers::succeed;
use crate::addrs;
use crate::http::Client;
use crate::process::{self, Group};
use crate::programs::{build, root};
use crate::wait::wait;

/// How long the node may take to be ready.
const READY_TIME: Duration = Duration::from_secs(30);

/// How long a call may take.
const CALL_TIME: Duration = Duration::from_secs(30);

/// What `interop metrics` can be told.
#[derive(Debug, clap::Args)]
pub(crate) struct MetricsArgs {
    /// That the parser cannot be had here (no Go, no module proxy) is no failure.
    #[arg(long)]
    allow_missing: bool,
}

/// Serves a call, and lets Prometheus's parser read what is said of it.
///
/// # Errors
///
/// When it cannot be read, or something is missing.
pub(crate) fn run(args: &MetricsArgs) -> Result<()> {
    let root = root()?;
    let parser = match parser(&root) {
        Ok(parser) => parser,
        Err(error) if args.allow_missing => {
            writeln!(stderr(), "not run: {error:#}").ok();
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let node = build(&root, "cluster-example", ("--bin", "cluster-example"))?;
    let [clients, admin] = addrs::free()?;
    let mut command = Command::new(&node);
    command.arg("serve").args([
        "--set",
        &format!("clients.listen={clients}"),
        "--set",
        &format!("admin.listen={admin}"),
    ]);
    let _node = Group::spawn(command)?;
    let asker = Client::new(admin);
    let is_ready = || asker.ask("GET", "/readyz", "").ok().filter(|answer| answer.status == 200).map(drop);
    wait("the node is ready", READY_TIME, is_ready)?;

    let mut call = Command::new(&node);
    call.args([
        "client",
        &format!("ws://{clients}"),
        "request",
        "Chat.join",
        r#"{"room":"pond","name":"ann"}"#,
    ]);
    let called = process::run(call, CALL_TIME)?;
    ensure!(called.is_success, "the call was not served: {}", called.stderr);

    let metrics = asker.ask("GET", "/metrics", "")?;
    ensure!(metrics.status == 200, "the node answers {}", metrics.status);
    let mut parsing =
        Command::new(parser).stdin(Stdio::piped()).spawn().context("the parser does not start")?;
    parsing.stdin.take().context("the parser has a standard input")?.write_all(&metrics.body)?;
    if !parsing.wait()?.success() {
        bail!("what the node says of itself is not what Prometheus reads");
    }
    Ok(())
}

fn parser(root: &Path) -> Result<std::path::PathBuf> {
    let dir = root.join("interop/go-metrics");
    let mut build = Command::new("go");
    build.current_dir(&dir).args(["build", "-o", "bin/read-metrics", "."]);
    succeed(build, "the parser")?;
    Ok(dir.join("bin/read-metrics"))
}
