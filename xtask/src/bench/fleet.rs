//! The processes of a bench: built once, then fresh ones for each run, ended however the run ends.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::sides::Side;

/// Time in which a server must listen.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Time that a run of the load gets beyond its own limit before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Where everything is, and the sides that could be built.
#[derive(Debug)]
pub(crate) struct Fleet {
    root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target_dir: PathBuf,
    /// Sides that can be run.
    pub(crate) present: Vec<Side>,
    /// What could not be had, and why.
    pub(crate) missing: Vec<(&'static str, String)>,
}

/// A server process; dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill, and waiting gives its status.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Running {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Fleet {
    /// Builds our own programs, which must succeed.
    pub(crate) fn build() -> Result<Self> {
        let metadata =
            cargo_metadata::MetadataCommand::new().no_deps().exec().context("cargo metadata failed")?;
        let root = metadata.workspace_root.into_std_path_buf();
        let target_dir = metadata.target_directory.into_std_path_buf();
        std::fs::create_dir_all(target_dir.join("bench")).context("cannot make target/bench")?;
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--quiet", "--package", "dunlin-bench", "--bins"]);
        must_succeed(cargo.current_dir(&root))?;
        Ok(Self { root, target_dir, present: Vec::new(), missing: Vec::new() })
    }

    /// Builds one side by what its area says; peers may be missing.
    pub(crate) fn add(&mut self, side: Side, prepare: impl FnOnce(&Self, Side) -> Result<()>) {
        match prepare(self, side) {
            Ok(()) => self.present.push(side),
            Err(error) => self.missing.push((side.name(), format!("{error:#}"))),
        }
    }

    /// Whether this side can be run.
    pub(crate) fn has(&self, side: Side) -> bool {
        self.present.contains(&side)
    }

    /// A release binary of ours.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.target_dir.join("release").join(name)
    }

    /// That the build made this binary.
    pub(crate) fn must_have(&self, name: &str) -> Result<()> {
        ensure!(self.binary(name).exists(), "there is no binary `{name}`");
        Ok(())
    }

    /// A place for what a bench needs while it runs.
    pub(crate) fn bench_file(&self, name: &str) -> PathBuf {
        self.target_dir.join("bench").join(name)
    }

    /// A folder with nothing in it.
    pub(crate) fn fresh_dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.bench_file(name);
        if dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
        }
        std::fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }

    /// The folder of a peer's sources.
    pub(crate) fn peer_dir(&self, name: &str) -> PathBuf {
        self.root.join("bench").join("peers").join(name)
    }

    /// Builds a peer that is a Go program.
    pub(crate) fn build_go(&self, name: &str) -> Result<()> {
        self.build_go_package(name, ".")
    }

    /// Builds a peer that is somebody else's Go program, in the version that our module names.
    pub(crate) fn build_go_package(&self, name: &str, package: &str) -> Result<()> {
        let mut go = Command::new("go");
        must_succeed(
            go.args(["build", "-o", &format!("bin/{name}"), package]).current_dir(self.peer_dir(name)),
        )
    }

    /// What that build made.
    pub(crate) fn go_binary(&self, name: &str) -> PathBuf {
        self.peer_dir(name).join("bin").join(name)
    }

    /// A command with as many descriptors as the system allows, which every server and the load need.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", r#"ulimit -S -n "$(ulimit -H -n)"; exec "$0" "$@""#]).arg(program);
        command.current_dir(&self.root);
        command
    }

    /// Starts a server that says where it listens, and waits until it does.
    pub(crate) fn start(&self, command: Command, name: &str) -> Result<Running> {
        let (mut running, log_path) = self.spawn(command, name)?;
        let line = first_line(running.child.stdout.take())
            .with_context(|| format!("{name} does not listen, see {}", log_path.display()))?;
        let addr = line.split_whitespace().nth(1).with_context(|| format!("it printed {line:?}"))?;
        running.addr = addr.parse().with_context(|| format!("it printed {line:?}"))?;
        Ok(running)
    }

    /// Starts a server that was told where to listen, and waits until it does.
    pub(crate) fn start_at(&self, command: Command, name: &str, addr: SocketAddr) -> Result<Running> {
        let mut running = self.start_without_waiting(command, name, addr)?;
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(addr).is_err() {
            let has_ended = running.child.try_wait()?.is_some();
            ensure!(
                !has_ended && Instant::now() < deadline,
                "{name} does not listen, see {}",
                self.log_path(name).display()
            );
            thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }

    /// Starts a server that was told where to listen, and that does so when others of its group are there.
    pub(crate) fn start_without_waiting(
        &self,
        command: Command,
        name: &str,
        addr: SocketAddr,
    ) -> Result<Running> {
        let (mut running, _) = self.spawn(command, name)?;
        running.addr = addr;
        Ok(running)
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.bench_file(&format!("{name}.log"))
    }

    fn spawn(&self, mut command: Command, name: &str) -> Result<(Running, PathBuf)> {
        let log_path = self.log_path(name);
        let log = File::create(&log_path).context("cannot write the server's log")?;
        // Its standard input stays open as long as this process lives: a server ends when it ends.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        Ok((Running { child, addr: SocketAddr::from(([127, 0, 0, 1], 0)) }, log_path))
    }
}

/// The first line within the limit; the thread that reads goes on, so that the server never meets a full pipe.
fn first_line(stdout: Option<ChildStdout>) -> Result<String> {
    let stdout = stdout.context("no standard output")?;
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Only the first line has a receiver.
            sender.try_send(line).ok();
        }
    });
    Ok(receiver.recv_timeout(START_LIMIT)?)
}

/// Runs a program to its end, which must be a good one.
pub(crate) fn must_succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let tail: Vec<&str> = stderr.lines().rev().take(20).collect();
        bail!("{program} failed: {}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

/// Standard output of a load that must end well and soon after its own limit; its few lines fit into a pipe.
pub(crate) fn output_of(mut load: Command, limit: Duration) -> Result<String> {
    let mut child = load.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let limit = limit + GRACE;
    let deadline = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill().context("cannot kill the load")?;
            child.wait()?;
            bail!("the load did not end within {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", first_lines(&String::from_utf8_lossy(&output.stderr)));
    Ok(String::from_utf8(output.stdout)?)
}

/// An error of the load without its backtrace, on one line.
fn first_lines(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Stack backtrace"));
    lines.filter(|line| !line.is_empty() && *line != "Caused by:").collect::<Vec<_>>().join(": ")
}
