//! Members of a cluster for tests: a transport on a socket of its own, and a Raft that writes down what it is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_rafthttp::raftpb::{ConfState, Entry, Message, MessageType, Snapshot, SnapshotMetadata};
use dunlin_rafthttp::{Builder, ClusterId, MemberId, PeerTls, ProcessError, Raft, SnapshotStatus, Transport};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

pub(crate) const CLUSTER: ClusterId = ClusterId(0x1000);

/// What Raft was told.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most of them are the large one")]
pub(crate) enum Told {
    Message(Message),
    Unreachable(MemberId),
    Snapshot(MemberId, SnapshotStatus),
}

struct Recorder {
    told: mpsc::UnboundedSender<Told>,
    removed: Arc<Mutex<Vec<MemberId>>>,
    is_stopped: Arc<AtomicBool>,
}

impl Raft for Recorder {
    async fn process(&self, message: Message) -> Result<(), ProcessError> {
        if self.is_stopped.load(Ordering::SeqCst) {
            return Err(ProcessError::Stopped);
        }
        self.told.send(Told::Message(message)).map_err(|_| ProcessError::Stopped)
    }

    fn is_id_removed(&self, id: MemberId) -> bool {
        self.removed.lock().unwrap().contains(&id)
    }

    fn report_unreachable(&self, id: MemberId) {
        self.told.send(Told::Unreachable(id)).ok();
    }

    fn report_snapshot(&self, id: MemberId, status: SnapshotStatus) {
        self.told.send(Told::Snapshot(id, status)).ok();
    }
}

pub(crate) struct Member {
    pub(crate) transport: Transport,
    pub(crate) told: mpsc::UnboundedReceiver<Told>,
    pub(crate) removed: Arc<Mutex<Vec<MemberId>>>,
    /// Whether Raft takes nothing any more.
    pub(crate) is_stopped: Arc<AtomicBool>,
    pub(crate) url: String,
}

impl Member {
    pub(crate) async fn start(id: u64) -> Self {
        Self::start_with(id, |builder| builder).await
    }

    /// One that speaks TLS.
    pub(crate) async fn start_tls(id: u64, tls: PeerTls) -> Self {
        let mut member = Self::start_with(id, |builder| builder.tls(tls)).await;
        member.url = member.url.replace("http:", "https:");
        member
    }

    pub(crate) async fn start_with(id: u64, set: impl FnOnce(Builder) -> Builder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, told) = mpsc::unbounded_channel();
        let removed = Arc::new(Mutex::new(Vec::new()));
        let is_stopped = Arc::new(AtomicBool::new(false));
        let raft = Recorder { told: tell, removed: removed.clone(), is_stopped: is_stopped.clone() };
        let transport = set(Transport::builder(MemberId(id), CLUSTER).plain_text()).start(raft).unwrap();
        let serving = transport.clone();
        tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
        Self { transport, told, removed, is_stopped, url }
    }

    pub(crate) async fn next_message(&mut self) -> Message {
        loop {
            let told = timeout(Duration::from_secs(5), self.told.recv()).await.unwrap().unwrap();
            if let Told::Message(message) = told {
                return message;
            }
        }
    }
}

/// Two members that know each other and read each other's streams.
pub(crate) async fn pair() -> (Member, Member) {
    let (one, two) = (Member::start(1).await, Member::start(2).await);
    one.transport.add_peer(MemberId(2), [two.url.as_str()]).unwrap();
    two.transport.add_peer(MemberId(1), [one.url.as_str()]).unwrap();
    until(|| one.transport.active_peers() == 1 && two.transport.active_peers() == 1).await;
    (one, two)
}

pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.unwrap();
}

pub(crate) fn message(msg_type: MessageType) -> Message {
    Message { msg_type: msg_type.into(), from: 1, to: 2, term: 1, ..Message::default() }
}

/// Of a snapshot that both members are in.
pub(crate) fn metadata(index: u64) -> SnapshotMetadata {
    let conf_state = ConfState { voters: vec![1, 2], ..ConfState::default() };
    SnapshotMetadata { index, term: 1, conf_state }
}

pub(crate) fn samples() -> Vec<Message> {
    let entry = |index| Entry { term: 1, index, data: b"some data".as_slice().into(), ..Entry::default() };
    let metadata = metadata(5);
    vec![
        Message { term: 0, entries: vec![entry(0)], ..message(MessageType::Prop) },
        Message { log_term: 1, index: 3, entries: vec![entry(4)], commit: 3, ..message(MessageType::App) },
        Message { index: 3, ..message(MessageType::AppResp) },
        Message { log_term: 1, index: 3, ..message(MessageType::Vote) },
        message(MessageType::VoteResp),
        Message {
            snapshot: Snapshot { data: b"data".as_slice().into(), metadata },
            ..message(MessageType::Snap)
        },
        Message { commit: 3, ..message(MessageType::Heartbeat) },
        message(MessageType::HeartbeatResp),
    ]
}
