//! Counts what comes, and answers with how much that was.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use dunlin_rafthttp::raftpb::{Message, MessageType};
use dunlin_rafthttp::{MemberId, ProcessError, Raft, SnapshotStatus, Transport};
use tokio::net::TcpListener;

use super::{APPENDS_PER_ANSWER, RECEIVER, SENDER, TERM, start};
use crate::serve;

/// Where the sender is, and where databases go.
#[derive(Debug, clap::Args)]
pub struct ReceiverPlan {
    /// The URL of the sender.
    #[arg(long)]
    pub peer: String,
    /// A folder for databases.
    #[arg(long)]
    pub dir: PathBuf,
}

/// A Raft that counts.
#[derive(Debug, Default)]
struct Counter {
    transport: OnceLock<Transport>,
    appends: AtomicU64,
    /// The index that the next append follows.
    index: AtomicU64,
    /// Appends that did not follow the one before.
    wrong: AtomicU64,
}

impl Counter {
    fn answer(&self, message: Message) {
        if let Some(transport) = self.transport.get() {
            transport.send([Message { from: RECEIVER.0, to: SENDER.0, term: TERM, ..message }]);
        }
    }

    /// One task gives messages in order, so nothing is counted in between.
    fn take(&self, message: Message) {
        if message.is(MessageType::App) {
            let count = self.appends.fetch_add(1, Ordering::Relaxed) + 1;
            let next = message.index + message.entries.len() as u64;
            if self.index.swap(next, Ordering::Relaxed) != message.index {
                self.wrong.fetch_add(1, Ordering::Relaxed);
            }
            if count.is_multiple_of(APPENDS_PER_ANSWER) {
                self.answer(Message {
                    msg_type: MessageType::AppResp.into(),
                    index: count,
                    ..Message::default()
                });
            }
        } else if message.is(MessageType::Heartbeat) {
            let (count, wrong) = (self.appends.load(Ordering::Relaxed), self.wrong.load(Ordering::Relaxed));
            self.answer(Message {
                msg_type: MessageType::HeartbeatResp.into(),
                index: count,
                reject_hint: wrong,
                context: message.context,
                ..Message::default()
            });
        }
    }
}

struct Shared(Arc<Counter>);

impl Raft for Shared {
    async fn process(&self, message: Message) -> Result<(), ProcessError> {
        self.0.take(message);
        Ok(())
    }

    fn is_id_removed(&self, _id: MemberId) -> bool {
        false
    }

    fn report_unreachable(&self, _id: MemberId) {}

    fn report_snapshot(&self, _id: MemberId, _status: SnapshotStatus) {}
}

/// Receives until the bench is over.
///
/// # Errors
///
/// When it cannot listen.
pub async fn run(plan: &ReceiverPlan) -> Result<()> {
    let counter = Arc::new(Counter::default());
    let transport = start(RECEIVER, |builder| builder.snapshot_dir(&plan.dir), Shared(counter.clone()))?;
    counter.transport.set(transport.clone()).ok().context("it is set once")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    transport.add_peer(SENDER, [plan.peer.as_str()])?;
    serve::announce(addr)?;
    let ended = async {
        tokio::task::spawn_blocking(serve::wait_for_end).await.ok();
    };
    transport.serve(listener, ended).await;
    Ok(())
}
