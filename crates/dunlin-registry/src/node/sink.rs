//! What the transport brings, on its way to the task that owns the driver.

use std::sync::Arc;

use dunlin_rafthttp::raftpb::{Message, MessageType};
use dunlin_rafthttp::{MemberId, ProcessError, Raft, SnapshotStatus};

use super::snapshots::Snapshots;
use super::{Input, Shared};

/// See the module.
#[derive(Debug)]
pub(super) struct Sink {
    shared: Arc<Shared>,
    snapshots: Snapshots,
}

impl Sink {
    pub(super) const fn new(shared: Arc<Shared>, snapshots: Snapshots) -> Self {
        Self { shared, snapshots }
    }

    fn tell(&self, input: Input) -> Result<(), ProcessError> {
        self.shared.inputs.try_send(input).map_err(|error| match error {
            tokio::sync::mpsc::error::TrySendError::Full(_) => ProcessError::Overloaded,
            tokio::sync::mpsc::error::TrySendError::Closed(_) => ProcessError::Stopped,
        })
    }
}

impl Raft for Sink {
    async fn process(&self, message: Message) -> Result<(), ProcessError> {
        if message.is(MessageType::Snap) {
            // Raft takes a snapshot at its word, so what is no state of a store must not get there.
            let (snapshots, index) = (self.snapshots.clone(), message.snapshot.metadata.index);
            let checked = tokio::task::spawn_blocking(move || snapshots.check(index)).await;
            if let Some(error) = checked.ok().and_then(Result::err) {
                tracing::error!(index, error = %error, "a snapshot came that is none");
                return Err(ProcessError::Overloaded);
            }
        }
        self.tell(Input::Message(message))
    }

    fn is_id_removed(&self, id: MemberId) -> bool {
        self.shared.store().is_removed(id.0)
    }

    fn report_unreachable(&self, id: MemberId) {
        // Raft finds out by itself, only later.
        self.tell(Input::Unreachable(id.0)).ok();
    }

    fn report_snapshot(&self, id: MemberId, status: SnapshotStatus) {
        let has_arrived = status == SnapshotStatus::Finished;
        if self.tell(Input::SnapshotSent(id.0, has_arrived)).is_err() {
            tracing::warn!(peer = %id, "raft could not be told what became of a snapshot");
        }
    }
}
