//! A group of members for tests, each with a socket and a directory of its own.

use std::path::PathBuf;
use std::time::Duration;

use dunlin_rafthttp::{ClusterId, MemberId};
use dunlin_registry::store::Member;
use dunlin_registry::{Begin, LocalRegistry, Node, NodeConfig};
use tokio::net::TcpListener;
use tokio::time::timeout;

const CLUSTER: ClusterId = ClusterId(0x77);

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Group {
    pub(crate) nodes: Vec<Option<Node>>,
    pub(crate) members: Vec<Member>,
    dir: tempfile::TempDir,
    set: fn(&mut NodeConfig),
}

fn member(id: u64, listener: &TcpListener) -> Member {
    let url = format!("http://{}", listener.local_addr().unwrap());
    Member { id, name: format!("member-{id}"), urls: vec![url], ..Member::default() }
}

impl Group {
    /// One that has just been bootstrapped, and has a leader.
    pub(crate) async fn of(count: u64) -> Self {
        Self::with(count, |_| {}).await
    }

    pub(crate) async fn with(count: u64, set: fn(&mut NodeConfig)) -> Self {
        // Shown when a test fails, or as `RUST_LOG` says; another test may have set it up already.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_test_writer().with_env_filter(filter).try_init().ok();
        let mut listeners = Vec::new();
        for _ in 0..count {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let members: Vec<Member> = (1..).zip(&listeners).map(|(id, listener)| member(id, listener)).collect();
        let dir = tempfile::tempdir().unwrap();
        let mut group = Self { nodes: Vec::new(), members: members.clone(), dir, set };
        for (id, listener) in (1..).zip(listeners) {
            let node = group.start(id, &Begin::Bootstrap(members.clone()), listener);
            group.nodes.push(Some(node));
        }
        group.leader().await;
        group
    }

    fn start(&self, id: u64, begin: &Begin, listener: TcpListener) -> Node {
        let mut config = NodeConfig::new(MemberId(id), CLUSTER, self.dir_of(id));
        config.urls = vec![format!("http://{}", listener.local_addr().unwrap())];
        config.tick = Duration::from_millis(20);
        config.seed = 7;
        (self.set)(&mut config);
        Node::start(&config, begin, listener, dunlin_rafthttp::Builder::plain_text).unwrap()
    }

    pub(crate) fn dir_of(&self, id: u64) -> PathBuf {
        self.dir.path().join(id.to_string())
    }

    pub(crate) fn node(&self, id: u64) -> &Node {
        self.nodes[usize::try_from(id).unwrap() - 1].as_ref().unwrap()
    }

    pub(crate) fn registry(&self, id: u64) -> LocalRegistry {
        self.node(id).registry()
    }

    /// Ends a member as a crash does: nothing more is written.
    pub(crate) async fn kill(&mut self, id: u64) {
        let node = self.nodes[usize::try_from(id).unwrap() - 1].take().unwrap();
        node.stop().await;
    }

    /// Starts a member again from its disk, where it was.
    pub(crate) async fn restart(&mut self, id: u64) {
        let place = usize::try_from(id).unwrap() - 1;
        let addr = self.members[place].urls[0].trim_start_matches("http://").to_owned();
        let listener = until(async || TcpListener::bind(&addr).await.ok()).await;
        self.nodes[place] = Some(self.start(id, &Begin::Join(Vec::new()), listener));
    }

    /// A member runs again that was started by somebody else.
    pub(crate) fn put_back(&mut self, id: u64, node: Node) {
        self.nodes[usize::try_from(id).unwrap() - 1] = Some(node);
    }

    /// Adds a member that begins with nothing.
    pub(crate) async fn join(&mut self) -> u64 {
        let leader = self.leader().await;
        self.join_through(leader).await
    }

    /// The same, asked of this member.
    pub(crate) async fn join_through(&mut self, asked: u64) -> u64 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let id = self.members.len() as u64 + 1;
        let newcomer = member(id, &listener);
        self.registry(asked).add_member(&newcomer).await.unwrap();
        let node = self.start(id, &Begin::Join(self.members.clone()), listener);
        self.members.push(newcomer);
        self.nodes.push(Some(node));
        id
    }

    pub(crate) fn cluster(&self) -> ClusterId {
        CLUSTER
    }

    /// Starts a member that was added already.
    pub(crate) fn start_joined(&mut self, id: u64, members: Vec<Member>, listener: TcpListener) {
        let node = self.start(id, &Begin::Join(members), listener);
        self.nodes.push(Some(node));
    }

    /// Who leads, once all who run agree.
    pub(crate) async fn leader(&self) -> u64 {
        until(async || {
            let states = self.nodes.iter().flatten().map(|node| node.state().borrow().clone());
            let mut leaders: Vec<u64> = states.map(|state| state.leader).collect();
            leaders.dedup();
            let [leader] = leaders[..] else { return None };
            let runs = |id: u64| self.nodes[usize::try_from(id).unwrap() - 1].is_some();
            (leader != 0 && runs(leader)).then_some(leader)
        })
        .await
    }

    pub(crate) fn others(&self, id: u64) -> Vec<u64> {
        (1..=self.nodes.len() as u64).filter(|other| *other != id).collect()
    }
}

pub(crate) async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap()
}
