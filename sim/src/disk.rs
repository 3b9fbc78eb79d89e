//! The disk of a member, with the bugs that are a disk's.

use std::io;

use dunlin_registry::log::{Disk, Fate, MemDisk, Unsynced};
use fastrand::Rng;

/// A disk in memory that may lie.
#[derive(Debug, Clone)]
pub(crate) struct SimDisk {
    pub(crate) disk: MemDisk,
    /// Whether it says that it synced and does not.
    pub(crate) lies: bool,
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk.read(name)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        self.disk.create(name)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.disk.append(name, bytes)
    }

    fn rewrite(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.rewrite(name, offset, bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        if self.lies { Ok(()) } else { self.disk.sync(name) }
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        self.disk.truncate(name, len)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        self.disk.sync_directory()
    }
}

/// What a machine that lost its power finds on its disk.
pub(crate) fn crash(disk: &MemDisk, rng: &mut Rng) -> MemDisk {
    disk.crash(|what| match (rng.u8(0..4), what) {
        (0 | 1, _) => Fate::Lost,
        (2, _) => Fate::Kept,
        (_, Unsynced::Bytes { synced_len, len, .. }) => {
            let zeroed = if rng.bool() { 0 } else { rng.u64(..) };
            Fate::Torn { len: rng.usize(0..=len.saturating_sub(synced_len)), zeroed }
        }
        (_, _) => Fate::Kept,
    })
}

/// Takes some of the last bytes away that were synced.
pub(crate) fn cut_end(disk: &MemDisk, rng: &mut Rng) {
    let mut names = disk.list().unwrap_or_default();
    names.sort_unstable();
    let Some(name) = names.pop() else { return };
    let Ok(mut bytes) = disk.read(&name) else { return };
    let gone = rng.usize(1..=40);
    // The head of a file is not what was written last.
    if bytes.len() > gone + 200 {
        bytes.truncate(bytes.len() - gone);
        disk.put(&name, bytes);
    }
}
