//! The thread that applies what is committed: to the store, and to whoever waits for it.

use std::sync::{Arc, PoisonError};

use dunlin_rafthttp::raftpb::{self, ConfChange, Entry, EntryType, SnapshotMetadata};
use tokio::sync::mpsc;

use super::snapshots::Snapshots;
use super::{Done, Shared};
use crate::driver::{self, AppliedChange, AppliedEntry};
use crate::store::{Image, ImageError};

/// Something to be applied.
#[derive(Debug)]
pub(super) enum Job {
    /// These entries, in order.
    Entries(Vec<Entry>),
    /// A leader's snapshot, whose file is there, instead of everything so far.
    Install(SnapshotMetadata),
    /// Nothing: the state is wanted as it is then.
    Image,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Applied {
    /// Everything up to this index is applied.
    Entries {
        /// The index.
        index: u64,
        /// Changes of members among it.
        changes: Vec<AppliedChange>,
    },
    /// The state as it is now: it is time for a snapshot, or one was wanted.
    Image(Image),
    /// The state is that of the snapshot.
    Installed(SnapshotMetadata),
    /// The state cannot go on. This is the last word.
    Failed(ApplyError),
}

/// Why the state cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    /// The snapshot cannot be read any more.
    #[error("cannot install the snapshot of index {index}")]
    Install { index: u64, source: ImageError },
    /// An entry cannot be applied.
    #[error(transparent)]
    Entry(#[from] driver::ApplyError),
}

/// See the module.
pub(super) struct Applier {
    pub(super) shared: Arc<Shared>,
    pub(super) snapshots: Snapshots,
    pub(super) snapshot_entries: u64,
    /// The index of the last image.
    pub(super) imaged: u64,
}

impl Applier {
    /// Applies until nobody has anything to be applied.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>, applied: &mpsc::Sender<Applied>) {
        while let Some(job) = jobs.blocking_recv() {
            let done = match job {
                Job::Entries(entries) => self.apply(&entries),
                Job::Install(snapshot) => self.install(snapshot),
                Job::Image => Ok(self.image()),
            };
            let done = done.unwrap_or_else(Applied::Failed);
            let is_over = matches!(done, Applied::Failed(_));
            // The other end is gone when the member stops.
            if applied.blocking_send(done).is_err() || is_over {
                return;
            }
            let index = self.shared.store().applied();
            let is_due = index.saturating_sub(self.imaged) >= self.snapshot_entries;
            if is_due && applied.blocking_send(self.image()).is_err() {
                return;
            }
        }
    }

    fn image(&mut self) -> Applied {
        let image = self.shared.store().image();
        self.imaged = image.applied();
        Applied::Image(image)
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<Applied, ApplyError> {
        let (mut changes, mut done) = (Vec::new(), Vec::new());
        let shared = self.shared.clone();
        let mut store = shared.store.write().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            match driver::apply_entry(&mut store, entry)? {
                AppliedEntry::Command(command, outcome) if command.request != 0 => {
                    done.push((command.request, Done::Command(outcome)));
                }
                AppliedEntry::Command(..) | AppliedEntry::Nothing => {}
                AppliedEntry::Change(change) => {
                    changes.push(change);
                    done.extend(request_of(entry).map(|request| (request, Done::Change)));
                }
            }
        }
        let (index, revision) = (store.applied(), store.revision());
        drop(store);
        self.shared.revision.send_if_modified(|known| std::mem::replace(known, revision) != revision);
        let mut waiting = self.shared.waiting();
        for (request, done) in done {
            waiting.tell(request, done);
        }
        drop(waiting);
        Ok(Applied::Entries { index, changes })
    }

    fn install(&mut self, snapshot: SnapshotMetadata) -> Result<Applied, ApplyError> {
        let index = snapshot.index;
        let store = self.snapshots.read(index).map_err(|source| ApplyError::Install { index, source })?;
        let revision = store.revision();
        *self.shared.store.write().unwrap_or_else(PoisonError::into_inner) = store;
        self.imaged = index;
        self.shared.revision.send_replace(revision);
        Ok(Applied::Installed(snapshot))
    }
}

/// The request that a change of members was: its number is that of the change.
fn request_of(entry: &Entry) -> Option<u64> {
    if entry.entry_type() != Ok(EntryType::ConfChange) {
        return None;
    }
    let limits = dunlin_rafthttp::RaftLimits::DEFAULT;
    raftpb::decode::<ConfChange>(&entry.data, &limits).ok().map(|change| change.id)
}
