//! Servers of etcd's: where the program comes from, and three processes of it on the loopback.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::drivers::succeed;
use crate::addrs;
use crate::process::{self, Group};

const MEMBERS: usize = 3;

/// How long a server may take until it listens.
const START_TIME: Duration = Duration::from_secs(20);

/// How long a server may take to say its version.
const VERSION_TIME: Duration = Duration::from_secs(10);

/// A server's program.
#[derive(Debug)]
pub(super) struct Server {
    program: PathBuf,
    version: String,
}

impl Server {
    /// The one of the path, or one that is built.
    pub(super) fn find(root: &Path) -> Result<Self> {
        // One in the path that does not even say its version is as good as none.
        Self::at("etcd".into()).or_else(|_| {
            let module = root.join("bench/peers/go-etcd");
            let program = module.join("bin/go-etcd");
            let mut go = Command::new("go");
            go.args(["build", "-o"]).arg(&program).arg("go.etcd.io/etcd/server/v3").current_dir(&module);
            succeed(go, "go build")?;
            Self::at(program)
        })
    }

    fn at(program: PathBuf) -> Result<Self> {
        let mut command = Command::new(&program);
        command.arg("--version");
        let said = process::run(command, VERSION_TIME)?;
        let version = said.stdout.lines().find_map(|line| line.strip_prefix("etcd Version: "));
        let version = version.with_context(|| format!("{} says no version", program.display()))?.to_owned();
        Ok(Self { program, version })
    }

    pub(super) fn name(&self) -> String {
        format!("etcd {}", self.version)
    }
}

/// Three servers. Their processes end when this is dropped.
#[derive(Debug)]
pub(super) struct Cluster {
    program: PathBuf,
    dir: PathBuf,
    peers: Vec<SocketAddr>,
    clients: Vec<SocketAddr>,
    processes: [Option<Group>; MEMBERS],
}

impl Cluster {
    /// Starts three servers that have nothing yet.
    pub(super) fn start_all(server: &Server, dir: &Path) -> Result<Self> {
        let addrs = addrs::free::<{ 2 * MEMBERS }>()?;
        let (peers, clients) = addrs.split_at(MEMBERS);
        let (peers, clients) = (peers.to_vec(), clients.to_vec());
        let (program, dir) = (server.program.clone(), dir.to_owned());
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let mut cluster = Self { program, dir, peers, clients, processes: [const { None }; MEMBERS] };
        for place in 0..MEMBERS {
            cluster.start(place)?;
        }
        for place in 0..MEMBERS {
            cluster.wait_listening(place)?;
        }
        Ok(cluster)
    }

    /// Starts a server, for the first time or from what is on its disk.
    pub(super) fn start(&mut self, place: usize) -> Result<()> {
        let url = |addr: SocketAddr| format!("http://{addr}");
        let name = |place: usize| format!("member-{place}");
        let all: Vec<String> =
            (0..MEMBERS).map(|place| format!("{}={}", name(place), url(self.peers[place]))).collect();
        let (peer, client) = (url(self.peers[place]), url(self.clients[place]));
        let path = self.dir.join(format!("said-{place}"));
        let said = File::options().create(true).append(true).open(&path);
        let said = said.with_context(|| format!("cannot write {}", path.display()))?;
        let mut command = Command::new(&self.program);
        command.args(["--name", &name(place), "--log-level", "error", "--data-dir"]);
        command.arg(self.dir.join(place.to_string()));
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--initial-cluster", &all.join(","), "--initial-cluster-state", "new"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        self.processes[place] = Some(Group::spawn(command)?);
        Ok(())
    }

    /// Waits until a server takes connections: etcd's does when its member has caught up with the others.
    pub(super) fn wait_listening(&self, place: usize) -> Result<()> {
        let begin = Instant::now();
        while TcpStream::connect(self.clients[place]).is_err() {
            ensure!(begin.elapsed() < START_TIME, "member {place} does not listen");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Ends a server as a crash does.
    pub(super) fn kill(&mut self, place: usize) -> Result<()> {
        self.processes[place].take().with_context(|| format!("member {place} does not run")).map(drop)
    }

    /// Where clients ask.
    pub(super) fn urls(&self) -> Vec<String> {
        self.clients.iter().map(|client| format!("http://{client}")).collect()
    }
}
