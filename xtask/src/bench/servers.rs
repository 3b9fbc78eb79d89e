//! The servers that are measured: built once, then one fresh process a run, ended however the run ends.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Time in which a server must listen.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A server under measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Server {
    /// dunlin.
    Ours,
    /// The Go framework nano.
    Nano,
    /// Raw frames on the npm package ws.
    NodeWs,
    /// Raw bytes or frames on dunlin's own poll layout.
    Bare,
}

/// What carries the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// TCP.
    Tcp,
    /// WebSocket.
    Ws,
}

impl Server {
    /// All but ours.
    pub(crate) const PEERS: [Self; 3] = [Self::Nano, Self::NodeWs, Self::Bare];

    /// The name in tables and JSON lines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Nano => "nano",
            Self::NodeWs => "node-ws",
            Self::Bare => "bare",
        }
    }

    /// Whether it echoes packets as they are, without the protocol.
    pub(crate) fn is_raw(self) -> bool {
        matches!(self, Self::NodeWs | Self::Bare)
    }
}

impl Transport {
    /// The name in arguments and figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Ws => "ws",
        }
    }
}

/// The servers that could be built.
#[derive(Debug)]
pub(crate) struct Fleet {
    root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target_dir: PathBuf,
    present: Vec<Server>,
    /// Servers that could not be had, and why.
    pub(crate) missing: Vec<(Server, String)>,
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
    /// Builds our own programs, which must succeed, and the peers, which may be missing.
    pub(crate) fn build(peers: &[Server]) -> Result<Self> {
        let metadata =
            cargo_metadata::MetadataCommand::new().no_deps().exec().context("cargo metadata failed")?;
        let root = metadata.workspace_root.into_std_path_buf();
        let target_dir = metadata.target_directory.into_std_path_buf();
        std::fs::create_dir_all(target_dir.join("bench")).context("cannot make target/bench")?;
        let mut fleet = Self { root, target_dir, present: Vec::new(), missing: Vec::new() };
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--quiet", "--package", "dunlin-bench", "--bins"]);
        must_succeed(cargo.current_dir(&fleet.root))?;
        for server in [Server::Ours].iter().chain(peers) {
            match fleet.prepare(*server) {
                Ok(()) => fleet.present.push(*server),
                Err(error) => fleet.missing.push((*server, format!("{error:#}"))),
            }
        }
        Ok(fleet)
    }

    /// Whether this server can be started.
    pub(crate) fn has(&self, server: Server) -> bool {
        self.present.contains(&server)
    }

    /// A release binary of ours.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.target_dir.join("release").join(name)
    }

    fn peer_dir(&self, name: &str) -> PathBuf {
        self.root.join("bench").join("peers").join(name)
    }

    fn prepare(&self, server: Server) -> Result<()> {
        match server {
            Server::Ours => ensure!(self.binary("server").exists(), "there is no binary `server`"),
            Server::Bare => ensure!(self.binary("bare").exists(), "there is no binary `bare`"),
            Server::Nano => {
                let mut go = Command::new("go");
                must_succeed(go.args(["build", "-o", "bin/nano", "."]).current_dir(self.peer_dir("nano")))?;
            }
            Server::NodeWs => {
                let mut npm = Command::new("npm");
                npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
                must_succeed(npm.current_dir(self.peer_dir("node-ws")))?;
            }
        }
        Ok(())
    }

    /// A command with as many descriptors as the system allows, which every server and the load need.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", r#"ulimit -S -n "$(ulimit -H -n)"; exec "$0" "$@""#]).arg(program);
        command.current_dir(&self.root);
        command
    }

    /// Starts a fresh process and waits until it listens.
    pub(crate) fn start(&self, server: Server, transport: Transport) -> Result<Running> {
        let mut command = match server {
            Server::Ours => self.command(&self.binary("server")),
            Server::Bare => self.command(&self.binary("bare")),
            Server::Nano => self.command(&self.peer_dir("nano").join("bin").join("nano")),
            Server::NodeWs => {
                let mut node = self.command(Path::new("node"));
                node.arg(self.peer_dir("node-ws").join("server.mjs"));
                node
            }
        };
        if matches!(server, Server::Bare | Server::Nano) {
            command.args(["--transport", transport.name()]);
        }
        let log_path = self.target_dir.join("bench").join(format!("{}.log", server.name()));
        let log = File::create(&log_path).context("cannot write the server's log")?;
        // Its standard input stays open as long as this process lives: a server ends when it ends.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let stdout = child.stdout.take();
        let mut running = Running { child, addr: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let line = first_line(stdout)
            .with_context(|| format!("{} does not listen, see {}", server.name(), log_path.display()))?;
        let addr = line.split_whitespace().nth(1).with_context(|| format!("it printed {line:?}"))?;
        running.addr = addr.parse().with_context(|| format!("it printed {line:?}"))?;
        Ok(running)
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

fn must_succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let tail: Vec<&str> = stderr.lines().rev().take(20).collect();
        bail!("{program} failed: {}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}
