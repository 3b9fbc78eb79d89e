//! Members of etcd as processes, each with a directory and ports of its own.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dunlin_etcd::EtcdRegistry;
use dunlin_registry::store::KeyRange;
use dunlin_registry::{Consistency, Registry as _};
use tokio::time::{sleep, timeout};

/// The variable that names the program.
const PROGRAM: &str = "DUNLIN_ETCD";

/// How long a cluster may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster. Its members end when it is dropped.
pub(crate) struct Members {
    program: PathBuf,
    processes: Vec<Option<Child>>,
    peers: Vec<SocketAddr>,
    clients: Vec<SocketAddr>,
    scheme: &'static str,
    arguments: Vec<String>,
    dir: tempfile::TempDir,
}

impl Members {
    /// One that answers; none where no server is named.
    pub(crate) async fn of(count: usize, arguments: &[&str]) -> Option<Self> {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let members = Self::started(count, "http", arguments)?;
        until_it_answers(&members.registry()).await;
        Some(members)
    }

    /// One that was just started, with clients by this scheme.
    pub(crate) fn started(count: usize, scheme: &'static str, arguments: Vec<String>) -> Option<Self> {
        let Some(program) = std::env::var_os(PROGRAM) else {
            println!("not run: {PROGRAM} names no server of etcd's");
            return None;
        };
        // They are held until all are found, so that they differ.
        let held: Vec<_> = (0..2 * count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addrs: Vec<_> = held.iter().map(|listener| listener.local_addr().unwrap()).collect();
        drop(held);
        let (peers, clients) = addrs.split_at(count);
        let (peers, clients) = (peers.to_vec(), clients.to_vec());
        let (program, dir) = (program.into(), tempfile::tempdir().unwrap());
        let mut members = Self { program, processes: Vec::new(), peers, clients, scheme, arguments, dir };
        for place in 0..count {
            members.processes.push(None);
            members.start(place);
        }
        Some(members)
    }

    /// Starts a member, for the first time or from what is on its disk.
    pub(crate) fn start(&mut self, place: usize) {
        let url = |addr: SocketAddr| format!("http://{addr}");
        let all = self.peers.iter().enumerate().map(|(place, peer)| format!("member-{place}={}", url(*peer)));
        let (all, peer, client) =
            (all.collect::<Vec<_>>().join(","), url(self.peers[place]), self.urls().remove(place));
        let mut command = Command::new(&self.program);
        command.args(["--name", &format!("member-{place}"), "--log-level", "error", "--data-dir"]);
        command.arg(self.dir.path().join(place.to_string()));
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--initial-cluster", &all, "--initial-cluster-state", "new"]).args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.processes[place] = Some(command.spawn().unwrap());
    }

    /// Ends a member as a crash does.
    pub(crate) fn kill(&mut self, place: usize) {
        let mut process = self.processes[place].take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.clients.iter().map(|client| format!("{}://{client}", self.scheme)).collect()
    }

    /// A client of all members.
    pub(crate) fn registry(&self) -> EtcdRegistry {
        EtcdRegistry::new(self.urls().iter().map(String::as_str)).unwrap()
    }
}

/// Waits until a cluster answers.
pub(crate) async fn until_it_answers(registry: &EtcdRegistry) {
    let answering = async {
        while registry.range(KeyRange::key("x"), 1, Consistency::Linearizable).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, answering).await.expect("the cluster does not answer");
}

impl Drop for Members {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            process.kill().ok();
            process.wait().ok();
        }
    }
}
