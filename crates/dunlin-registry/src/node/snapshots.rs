//! The files of snapshots: one for each index, whole or not there.
//!
//! Those of our own and those that a leader sent have the same names and the same bytes, so either is sent on.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_rafthttp::snapshot_file_name;

use super::StartError;
use crate::limits::SNAPSHOTS_KEPT;
use crate::store::{Image, ImageError, Store};

/// The directory of snapshots.
#[derive(Debug, Clone)]
pub(super) struct Snapshots {
    dir: Arc<Path>,
}

impl Snapshots {
    /// The directory, made if it is not there. What was being written when the member ended goes.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                fs::remove_file(path)?;
            }
        }
        Ok(Self { dir: dir.into() })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn path(&self, index: u64) -> PathBuf {
        self.dir.join(snapshot_file_name(index))
    }

    /// The store of a snapshot; an empty one for index 0.
    pub(super) fn load(&self, index: u64) -> Result<Store, StartError> {
        if index == 0 {
            return Ok(Store::new());
        }
        self.read(index).map_err(|source| StartError::Snapshot { path: self.path(index), source })
    }

    pub(super) fn read(&self, index: u64) -> Result<Store, ImageError> {
        let file = File::open(self.path(index)).map_err(ImageError::Read)?;
        let store = Store::from_image(&mut BufReader::with_capacity(64 * 1024, file))?;
        // The name says what Raft was told that it is.
        if store.applied() == index { Ok(store) } else { Err(ImageError::Checksum) }
    }

    /// A store with the members of a snapshot in it and nothing else. The rest is not looked at: whoever goes on from it reads all.
    pub(super) fn members(dir: &Path, index: u64) -> Result<Store, StartError> {
        let path = dir.join(snapshot_file_name(index));
        let read = || {
            let file = File::open(&path).map_err(ImageError::Read)?;
            Store::members_from_image(&mut BufReader::new(file))
        };
        read().map_err(|source| StartError::Snapshot { path: path.clone(), source })
    }

    /// That a snapshot can be read, or it is removed.
    pub(super) fn check(&self, index: u64) -> Result<(), ImageError> {
        let checked = self.read(index).map(drop);
        if checked.is_err() {
            // It is of no use, and one that stays takes room alone.
            fs::remove_file(self.path(index)).ok();
        }
        checked
    }

    /// Writes a snapshot; when this returns it is on the disk under its name.
    pub(super) fn write(&self, image: &Image) -> io::Result<()> {
        let path = self.path(image.applied());
        let unfinished = path.with_extension("new");
        let mut file = File::create(&unfinished)?;
        for chunk in image.chunks() {
            file.write_all(&chunk)?;
        }
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&self.dir)?.sync_all()
    }

    /// Removes all but the newest ones up to an index that is in force.
    pub(super) fn purge(&self, index: u64) -> io::Result<()> {
        let in_force = snapshot_file_name(index);
        let mut names: Vec<String> = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            names.extend(entry?.file_name().into_string());
        }
        // Names are of one length and in the order of their indexes.
        names.retain(|name| name.len() == in_force.len() && *name <= in_force);
        names.sort_unstable();
        let gone = names.len().saturating_sub(SNAPSHOTS_KEPT);
        names.iter().take(gone).try_for_each(|name| fs::remove_file(self.dir.join(name)))
    }
}
