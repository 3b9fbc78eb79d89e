//! What the transport needs of Raft: four calls. It knows no Raft core.

use std::future::Future;
use std::pin::Pin;

use crate::core::MemberId;
use crate::raftpb::Message;

/// The node that messages are for.
///
/// Implementations are called from many tasks at a time and must not block a thread.
pub trait Raft: Send + Sync + 'static {
    /// Takes a message that came from a peer. It was looked at: it is for us, from a member, and plausible.
    ///
    /// A proposal may be kept until there is a leader; nothing of the same peer but other proposals waits behind it.
    ///
    /// # Errors
    ///
    /// [`ProcessError`], which is told to the peer where it sent the message by a request of its own.
    fn process(&self, message: Message) -> impl Future<Output = Result<(), ProcessError>> + Send;

    /// Whether a member was removed from the cluster, for ever.
    fn is_id_removed(&self, id: MemberId) -> bool;

    /// A message to this peer was dropped.
    fn report_unreachable(&self, id: MemberId);

    /// What became of a snapshot that was sent to this peer.
    fn report_snapshot(&self, id: MemberId, status: SnapshotStatus);
}

/// What became of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// It arrived.
    Finished,
    /// It did not.
    Failed,
}

/// Why Raft did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The sender was removed from the cluster. It is told so and stops.
    #[error("the member has been permanently removed from the cluster")]
    Removed,
    /// Raft is stopped.
    #[error("raft is stopped")]
    Stopped,
    /// Raft has too much to do.
    #[error("raft is overloaded")]
    Overloaded,
}

type Processing<'a> = Pin<Box<dyn Future<Output = Result<(), ProcessError>> + Send + 'a>>;

/// [`Raft`] behind a pointer.
pub(crate) trait ErasedRaft: Send + Sync + 'static {
    fn process(&self, message: Message) -> Processing<'_>;
    fn is_id_removed(&self, id: MemberId) -> bool;
    fn report_unreachable(&self, id: MemberId);
    fn report_snapshot(&self, id: MemberId, status: SnapshotStatus);
}

impl<R: Raft> ErasedRaft for R {
    fn process(&self, message: Message) -> Processing<'_> {
        Box::pin(Raft::process(self, message))
    }

    fn is_id_removed(&self, id: MemberId) -> bool {
        Raft::is_id_removed(self, id)
    }

    fn report_unreachable(&self, id: MemberId) {
        Raft::report_unreachable(self, id);
    }

    fn report_snapshot(&self, id: MemberId, status: SnapshotStatus) {
        Raft::report_snapshot(self, id, status);
    }
}
