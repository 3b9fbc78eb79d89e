//! What came from a peer and waits for Raft: bounded, in order, proposals by themselves.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::core::{MemberId, MessageQueue, QueueLimits};
use crate::raft::ErasedRaft;
use crate::raftpb::{Message, MessageType};

/// The two queues of one peer. Proposals have their own: Raft may keep one until there is a leader.
#[derive(Debug)]
pub(crate) struct Inbox {
    proposals: Lane,
    others: Lane,
}

#[derive(Debug)]
struct Lane {
    queue: Mutex<MessageQueue>,
    news: Notify,
}

impl Lane {
    fn new(limits: QueueLimits) -> Self {
        Self { queue: Mutex::new(MessageQueue::new(limits)), news: Notify::new() }
    }

    fn push(&self, message: Message, len: usize) -> bool {
        let is_taken = self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(message, len).is_ok();
        self.news.notify_one();
        is_taken
    }

    async fn next(&self) -> Message {
        loop {
            let popped = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match popped {
                Some(message) => return message,
                None => self.news.notified().await,
            }
        }
    }
}

impl Inbox {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self { proposals: Lane::new(limits), others: Lane::new(limits) }
    }

    /// Puts a message whose encoding has `len` bytes into its queue. `false`: there was no room.
    pub(crate) fn push(&self, message: Message, len: usize) -> bool {
        let lane = if message.is(MessageType::Prop) { &self.proposals } else { &self.others };
        lane.push(message, len)
    }

    /// Gives Raft what came, until the peer is stopped: run it once for proposals and once for the others.
    pub(crate) async fn deliver(
        self: Arc<Self>,
        from: MemberId,
        raft: Arc<dyn ErasedRaft>,
        (is_proposals, stop): (bool, CancellationToken),
    ) {
        let lane = if is_proposals { &self.proposals } else { &self.others };
        let deliver = async {
            loop {
                let message = lane.next().await;
                if let Err(error) = raft.process(message).await {
                    tracing::debug!(peer = %from, %error, "raft did not take a message");
                }
            }
        };
        stop.run_until_cancelled(deliver).await;
    }
}
