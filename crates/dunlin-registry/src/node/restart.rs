//! What a directory knows of the member whose it is: enough to start it again without being told anything else.
//!
//! Who it is stands at the beginning of its log, and where others reach it among the members: those of the snapshot that the log goes
//! on from, and the changes after it that are known to be committed. A commit of such a change is synced with it, so what the member
//! followed before it ended is found again.

use std::path::PathBuf;

use dunlin_rafthttp::{ClusterId, MemberId};

use super::snapshots::Snapshots;
use super::{NodeConfig, StartError, log_dir};
use crate::consensus::change_of;
use crate::log::{FsDisk, Identity, Log, LogConfig};
use crate::store::Store;

impl NodeConfig {
    /// The member whose directory this is, with its URLs and otherwise with the defaults, to be started with
    /// [`Begin::Restart`](super::Begin::Restart). `None` where no member ever was; nothing is made there.
    ///
    /// There are no URLs where the member was added to a group and ended before it heard so.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the directory is in use, or damaged.
    pub fn recover(dir: impl Into<PathBuf>) -> Result<Option<Self>, StartError> {
        let dir = dir.into();
        let Some(disk) = disk_of_somebody(&dir)? else { return Ok(None) };
        let Some(identity) = Log::identity(&disk)? else { return Ok(None) };
        let urls = urls_of(&dir, disk, identity)?;
        let config = Self::new(MemberId(identity.member_id), ClusterId(identity.cluster_id), dir);
        Ok(Some(Self { urls, ..config }))
    }
}

/// The directory of a log, if there is one.
pub(super) fn disk_of_somebody(dir: &std::path::Path) -> Result<Option<FsDisk>, StartError> {
    let path = log_dir(dir);
    let is_there =
        path.try_exists().map_err(|source| StartError::Directory { path: path.clone(), source })?;
    Ok(if is_there { Some(FsDisk::open(path)?) } else { None })
}

/// Where the member is, as far as it knows.
fn urls_of(dir: &std::path::Path, disk: FsDisk, identity: Identity) -> Result<Vec<String>, StartError> {
    let (_, recovered) = Log::open(disk, identity, LogConfig::default())?;
    let index = recovered.snapshot.index;
    let mut store =
        if index == 0 { Store::new() } else { Snapshots::members(&dir.join("snapshots"), index)? };
    let commit = recovered.hard_state.commit;
    for entry in recovered.entries.iter().take_while(|entry| entry.index <= commit) {
        if let Some(change) = change_of(entry) {
            // One that cannot be followed ends the member when it comes to it, and says why.
            store.apply_change(entry.index, &change).ok();
        }
    }
    let me = store.members().find(|member| member.id == identity.member_id);
    Ok(me.map_or_else(Vec::new, |me| me.urls.clone()))
}
