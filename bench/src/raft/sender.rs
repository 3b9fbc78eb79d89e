//! The sender's side: its transport, what it hears of the receiver, and how both are measured.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use dunlin_rafthttp::raftpb::{Message, MessageType};
use dunlin_rafthttp::{MemberId, ProcessError, Raft, SnapshotStatus, Transport};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::{RECEIVER, SENDER, TERM, start};
use crate::kernel::{CpuSample, Meter};

/// Both streams are there so long after the first answer.
const SETTLED: Duration = Duration::from_secs(1);

/// How long the receiver may take to say that it has everything.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers to heartbeats that were not looked at.
const ECHOES_MAX: usize = 4096;

/// Where both are.
#[derive(Debug, clap::Args)]
pub struct SenderPlan {
    /// Where the sender listens: the receiver reads its streams from there.
    #[arg(long)]
    pub listen: SocketAddr,
    /// The URL of the receiver.
    #[arg(long)]
    pub target: String,
    /// The process of the receiver, for the kernel's figures.
    #[arg(long)]
    pub receiver_pid: u32,
}

/// What the receiver said last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted {
    /// Appends that it has.
    pub appends: u64,
    /// Those that did not follow the one before.
    pub wrong: u64,
}

/// A Raft that hears answers.
struct Ears {
    counted: watch::Sender<Counted>,
    echoes: mpsc::Sender<Bytes>,
    snapshots: mpsc::Sender<SnapshotStatus>,
}

impl Raft for Ears {
    async fn process(&self, message: Message) -> Result<(), ProcessError> {
        self.counted.send_if_modified(|counted| {
            let is_news = message.index > counted.appends;
            counted.appends = counted.appends.max(message.index);
            counted.wrong = counted.wrong.max(message.reject_hint);
            is_news
        });
        if message.is(MessageType::HeartbeatResp) {
            // Nobody looks at them under load alone.
            self.echoes.try_send(message.context).ok();
        }
        Ok(())
    }

    fn is_id_removed(&self, _id: MemberId) -> bool {
        false
    }

    fn report_unreachable(&self, _id: MemberId) {}

    fn report_snapshot(&self, _id: MemberId, status: SnapshotStatus) {
        self.snapshots.try_send(status).ok();
    }
}

/// A sender that has met its receiver.
#[derive(Debug)]
pub struct Sender {
    /// Its transport.
    pub transport: Transport,
    /// What the receiver has.
    pub counted: watch::Receiver<Counted>,
    echoes: Arc<Mutex<mpsc::Receiver<Bytes>>>,
    snapshots: Mutex<mpsc::Receiver<SnapshotStatus>>,
    /// Meters of the sender and the receiver.
    pub meters: [Meter; 2],
}

/// Processor time of both sides so far.
#[derive(Debug)]
pub struct BothSample([CpuSample; 2]);

impl Sender {
    /// Starts it, and waits until both streams carry.
    ///
    /// # Errors
    ///
    /// When it cannot listen, or the receiver does not answer.
    pub async fn start(plan: &SenderPlan) -> Result<Self> {
        let (counted, echoes, snapshots) =
            (watch::Sender::default(), mpsc::channel(ECHOES_MAX), mpsc::channel(1));
        let ears = Ears { counted: counted.clone(), echoes: echoes.0, snapshots: snapshots.0 };
        // Like etcd's package, which has no limit for snapshots.
        let transport = start(SENDER, |builder| builder.snapshot_bytes_per_sec_max(None), ears)?;
        let listener = TcpListener::bind(plan.listen).await.context("the sender cannot listen")?;
        transport.add_peer(RECEIVER, [plan.target.as_str()])?;
        let serving = transport.clone();
        tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
        let sender = Self {
            transport,
            counted: counted.subscribe(),
            echoes: Arc::new(Mutex::new(echoes.1)),
            snapshots: Mutex::new(snapshots.1),
            meters: [Meter::new(std::process::id()), Meter::new(plan.receiver_pid)],
        };
        let met = async {
            loop {
                sender.heartbeat(Bytes::new());
                if timeout(Duration::from_millis(50), sender.echo()).await.is_ok() {
                    return;
                }
            }
        };
        timeout(PATIENCE, met).await.context("the receiver does not answer")?;
        sleep(SETTLED).await;
        Ok(sender)
    }

    /// Sends a heartbeat, which the receiver answers with what is in it.
    pub fn heartbeat(&self, context: Bytes) {
        let msg_type = MessageType::Heartbeat.into();
        self.transport.send([Message {
            msg_type,
            from: SENDER.0,
            to: RECEIVER.0,
            term: TERM,
            context,
            ..Message::default()
        }]);
    }

    /// What the next answer to a heartbeat has in it.
    pub async fn echo(&self) -> Option<Bytes> {
        self.echoes.lock().await.recv().await
    }

    /// What became of a snapshot.
    pub async fn snapshot_status(&self) -> Option<SnapshotStatus> {
        self.snapshots.lock().await.recv().await
    }

    /// Waits until the receiver has so many appends, and says what it has in the end.
    ///
    /// # Errors
    ///
    /// When the receiver is gone.
    pub async fn finish(&mut self, appends: u64) -> Result<Counted> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.heartbeat(Bytes::new());
            let news = timeout(Duration::from_millis(20), self.counted.changed()).await;
            ensure!(!matches!(news, Ok(Err(_))), "the transport is gone");
            let counted = *self.counted.borrow_and_update();
            if counted.appends >= appends || Instant::now() > deadline {
                return Ok(counted);
            }
        }
    }

    /// Processor time of both sides.
    ///
    /// # Errors
    ///
    /// When a process is gone.
    pub fn cpu(&self) -> io::Result<BothSample> {
        let [sender, receiver] = self.meters;
        Ok(BothSample([sender.cpu()?, receiver.cpu()?]))
    }
}

impl BothSample {
    /// Nanoseconds from `earlier` to this sample, of the sender and of the receiver.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> [u64; 2] {
        let ([sender, receiver], [sender_before, receiver_before]) = (&self.0, &earlier.0);
        [sender.since(sender_before), receiver.since(receiver_before)]
    }
}
