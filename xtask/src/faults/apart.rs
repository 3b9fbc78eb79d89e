//! A place apart, where a fault cannot reach anybody else: namespaces of users, of mounts, of the network and of processes.
//!
//! The chore starts itself again in there. Mounts, addresses and processes of that place are gone when it is, and it ends with its
//! standard input: however the chore outside ends, nothing is left behind. Where such a place cannot be had, what needs one
//! is not run.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::{self, Group};

/// What makes the place.
const UNSHARE: [&str; 9] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "--net",
    "--pid",
    "--fork",
    "--mount-proc",
    "--kill-child",
];

/// How long a command may take that only sets something up.
const COMMAND_TIME: Duration = Duration::from_secs(10);

/// Whether this can be had here.
///
/// # Errors
///
/// Why not.
pub(crate) fn probe() -> Result<(), String> {
    let [unshare, how @ ..] = UNSHARE;
    run(unshare, &[&how[..], &["ip", "link", "set", "lo", "up"]].concat())
}

/// Starts this program again in there with more arguments, and waits for its end, which must be a good one.
///
/// # Errors
///
/// When it cannot be started, or did not end well.
pub(crate) fn enter(more: &[String]) -> Result<()> {
    let [unshare, how @ ..] = UNSHARE;
    let mut command = Command::new(unshare);
    command.args(how).arg(std::env::current_exe().context("this program has no path")?);
    // What this one was told, then what it found out.
    command.args(std::env::args_os().skip(1)).args(more).stdin(Stdio::piped());
    let mut group = Group::spawn(command)?;
    // Waiting would let go of it.
    let held = group.child.stdin.take();
    let status = group.child.wait().context("the place apart cannot be waited for")?;
    drop(held);
    ensure!(status.success(), "not everything held");
    Ok(())
}

/// In there: makes loopback work, and ends this process when whoever is outside has ended.
///
/// # Errors
///
/// When there is no loopback.
pub(crate) fn settle() -> Result<()> {
    run("ip", &["link", "set", "lo", "up"]).map_err(anyhow::Error::msg)?;
    thread::spawn(|| {
        // Nothing ever comes; a pipe ends when nobody holds its other end.
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        end()
    });
    Ok(())
}

#[expect(
    clippy::exit,
    reason = "all processes of the namespace end with its first one, which is what is wanted"
)]
fn end() -> ! {
    std::process::exit(1)
}

/// Runs a command that must succeed soon.
///
/// # Errors
///
/// What it said when it did not.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments);
    let finished = process::run(command, COMMAND_TIME).map_err(|error| format!("{error:#}"))?;
    if finished.is_success { Ok(()) } else { Err(format!("{program}: {}", finished.stderr.trim())) }
}
