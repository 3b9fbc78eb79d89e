//! A disk in memory that keeps apart what was synced and what was not, and fails on demand. For tests and simulations.
//!
//! What a crash may do: bytes that were not synced are lost, kept, or torn: some of them are there, in any length, and any of
//! their sectors may be zeros, as when a file grew and the disk did not get to write what is in it. A name that was not synced
//! is there or not. What a failed sync was to write is lost for good, even when a later sync succeeds: so it is on Linux.
//! Deterministic: it makes no choice of its own.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Disk;

/// What a disk writes whole or not at all.
const SECTOR_LEN: usize = 512;

/// What was not synced, when the question is what a crash makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsynced<'a> {
    /// The last bytes of a file.
    Bytes {
        /// The file.
        name: &'a str,
        /// How long it was when it was synced; less when it was shortened since.
        synced_len: usize,
        /// How long it is.
        len: usize,
    },
    /// That a file was made, removed or renamed.
    Name {
        /// The file.
        name: &'a str,
    },
}

/// What a crash makes of something that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is as it was when it was synced.
    Lost,
    /// It is as if it had been synced.
    Kept,
    /// Of bytes, some are there; a name is.
    Torn {
        /// How many of those that were not synced.
        len: usize,
        /// Which sectors of them are zeros: the lowest bit is the first that they touch. Synced bytes of it stay.
        zeroed: u64,
    },
}

/// A disk in memory. Clones are handles of the same one.
#[derive(Debug, Clone, Default)]
pub struct MemDisk {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Clone, Default)]
struct Shared {
    /// By a number of ours: names come and go.
    files: BTreeMap<u64, MemFile>,
    names: BTreeMap<String, u64>,
    synced_names: BTreeMap<String, u64>,
    /// What makes the names of the synced ones, in order.
    changes: Vec<Change>,
    file_count: u64,
    call_count: u64,
    faults: Faults,
}

#[derive(Debug, Clone, Default)]
struct MemFile {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// So many of the first bytes are the same in both.
    same_len: usize,
    /// Whether anything was done to it since it was synced, even if that came to nothing.
    is_dirty: bool,
    /// What a sync failed to write, and none will.
    doomed: Option<Range<usize>>,
}

#[derive(Debug, Clone)]
enum Change {
    Create(String, u64),
    Remove(String),
    Rename(String, String),
}

#[derive(Debug, Clone, Default)]
struct Faults {
    syncs_left: Option<u64>,
    calls_left: Option<u64>,
    free_len: Option<u64>,
}

impl MemDisk {
    /// Lets one sync fail, of a file or of the directory, after `count` that do not.
    pub fn fail_sync_after(&self, count: u64) {
        self.lock().faults.syncs_left = Some(count);
    }

    /// Lets every change fail after `count` that do not, as when the power goes.
    pub fn fail_all_after(&self, count: u64) {
        self.lock().faults.calls_left = Some(count);
    }

    /// Leaves room for so many bytes, or no end of it. An append that does not find enough writes what fits and
    /// fails; a file needs room for a byte to be made.
    pub fn set_free_len(&self, len: Option<u64>) {
        self.lock().faults.free_len = len;
    }

    /// Whether every change was followed by the sync that makes it stay.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        let shared = self.lock();
        shared.changes.is_empty() && !shared.files.values().any(|file| file.is_dirty)
    }

    /// How many changes were asked for, syncs among them.
    #[must_use]
    pub fn call_count(&self) -> u64 {
        self.lock().call_count
    }

    /// Puts bytes in the place of a file, or makes it, as if they had always been there.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut shared = self.lock();
        let number = shared.file_count;
        shared.file_count += 1;
        shared.files.insert(number, MemFile::synced(bytes));
        shared.names.insert(name.to_owned(), number);
        shared.synced_names.insert(name.to_owned(), number);
    }

    /// The disk as it is found after a crash, when `choose` says what becomes of everything that was not synced: names first, in
    /// the order of their changes, then files by age. This one stays as it is, so that it can be asked for another crash.
    #[must_use]
    pub fn crash(&self, mut choose: impl FnMut(Unsynced<'_>) -> Fate) -> Self {
        let shared = self.lock();
        let mut names = shared.synced_names.clone();
        for change in &shared.changes {
            if choose(Unsynced::Name { name: change.name() }) != Fate::Lost {
                change.apply(&mut names);
            }
        }
        let mut files: Vec<_> = names.iter().map(|(name, number)| (*number, name.as_str())).collect();
        files.sort_unstable();
        let mut found = BTreeMap::new();
        for (number, name) in files {
            if let Some(file) = shared.files.get(&number) {
                found.insert(number, MemFile::synced(file.after_crash(name, &mut choose)));
            }
        }
        let file_count = shared.file_count;
        let shared =
            Shared { files: found, synced_names: names.clone(), names, file_count, ..Shared::default() };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // No call stops half way, so what a panicking thread left is whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> io::Result<MutexGuard<'_, Shared>> {
        let mut shared = self.lock();
        shared.call_count += 1;
        match &mut shared.faults.calls_left {
            Some(0) => return Err(io::Error::other("the simulated power is off")),
            Some(count) => *count -= 1,
            None => {}
        }
        Ok(shared)
    }
}

impl Shared {
    fn file(&mut self, name: &str) -> io::Result<&mut MemFile> {
        let number = self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.files.get_mut(number).ok_or(io::ErrorKind::NotFound)?)
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn give_back(&mut self, len: usize) {
        if let Some(free_len) = &mut self.faults.free_len {
            *free_len += len as u64;
        }
    }

    /// Whether this sync is the one to fail.
    fn fails_sync(&mut self) -> bool {
        match self.faults.syncs_left {
            Some(0) => {
                self.faults.syncs_left = None;
                true
            }
            Some(count) => {
                self.faults.syncs_left = Some(count - 1);
                false
            }
            None => false,
        }
    }
}

impl MemFile {
    fn synced(bytes: Vec<u8>) -> Self {
        Self { synced: bytes.clone(), same_len: bytes.len(), bytes, is_dirty: false, doomed: None }
    }

    fn sync(&mut self) {
        self.is_dirty = false;
        self.synced.clone_from(&self.bytes);
        if let Some(doomed) = self.doomed.clone() {
            let end = doomed.end.min(self.synced.len());
            let start = doomed.start.min(end);
            zero(&mut self.synced, start..end);
            self.same_len = start;
        } else {
            self.same_len = self.synced.len();
        }
    }

    fn doom(&mut self) {
        let start = self.doomed.as_ref().map_or(self.same_len, |doomed| doomed.start.min(self.same_len));
        self.doomed = Some(start..self.bytes.len());
    }

    /// What a sync failed to write is to be written by the next one, as far as it lies in this range.
    fn remember(&mut self, range: Range<usize>) {
        self.doomed = self.doomed.take().and_then(|doomed| {
            // Only what reaches to the end, which is what the log asks for; of a piece in the middle nothing is believed.
            let end = if range.end >= doomed.end { doomed.end.min(range.start) } else { doomed.end };
            (doomed.start < end).then_some(doomed.start..end)
        });
    }

    fn after_crash(&self, name: &str, choose: &mut impl FnMut(Unsynced<'_>) -> Fate) -> Vec<u8> {
        let (synced_len, len) = (self.same_len, self.bytes.len());
        if len == synced_len && self.synced.len() == synced_len {
            return self.synced.clone();
        }
        match choose(Unsynced::Bytes { name, synced_len, len }) {
            Fate::Lost => self.synced.clone(),
            Fate::Kept => self.bytes.clone(),
            Fate::Torn { len, zeroed } => {
                let mut bytes = self.bytes.clone();
                bytes.truncate(synced_len.saturating_add(len));
                let first_sector = synced_len / SECTOR_LEN;
                for bit in (0..u64::BITS).filter(|bit| zeroed & (1 << bit) != 0) {
                    let start = (first_sector + bit as usize) * SECTOR_LEN;
                    let end = (start + SECTOR_LEN).min(bytes.len());
                    zero(&mut bytes, start.max(synced_len)..end);
                }
                bytes
            }
        }
    }
}

impl Change {
    fn name(&self) -> &str {
        match self {
            Self::Create(name, _) | Self::Remove(name) | Self::Rename(_, name) => name,
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Create(name, number) => {
                names.insert(name.clone(), *number);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(number) = names.remove(from) {
                    names.insert(to.clone(), number);
                }
            }
        }
    }
}

impl Disk for MemDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.lock().file(name)?.bytes.clone())
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let mut shared = self.begin()?;
        if shared.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if shared.faults.free_len == Some(0) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let number = shared.file_count;
        shared.file_count += 1;
        shared.files.insert(number, MemFile::default());
        shared.change(Change::Create(name.to_owned(), number));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut shared = self.begin()?;
        shared.file(name)?;
        let free_len =
            shared.faults.free_len.map_or(usize::MAX, |len| usize::try_from(len).unwrap_or(usize::MAX));
        let (fitting, rest) = bytes.split_at(bytes.len().min(free_len));
        if let Some(free_len) = &mut shared.faults.free_len {
            *free_len -= fitting.len() as u64;
        }
        let file = shared.file(name)?;
        file.bytes.extend_from_slice(fitting);
        file.is_dirty = true;
        if rest.is_empty() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn rewrite(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut shared = self.begin()?;
        let file = shared.file(name)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let range = start..start.saturating_add(bytes.len());
        if file.bytes.get(range.clone()) != Some(bytes) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "other bytes are there"));
        }
        file.remember(range);
        file.is_dirty = true;
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut shared = self.begin()?;
        let fails = shared.fails_sync();
        let file = shared.file(name)?;
        if fails {
            file.doom();
            return Err(io::Error::other("a simulated sync failed"));
        }
        file.sync();
        Ok(())
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        let mut shared = self.begin()?;
        let file = shared.file(name)?;
        let before_len = file.bytes.len();
        file.is_dirty = true;
        file.bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        let len = file.bytes.len();
        file.same_len = file.same_len.min(len);
        // What is written there next is not what the failed sync had.
        file.doomed = file
            .doomed
            .take()
            .map(|doomed| doomed.start..doomed.end.min(len))
            .filter(|left| !left.is_empty());
        let freed_len = before_len - len;
        shared.give_back(freed_len);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut shared = self.begin()?;
        let freed_len = shared.file(name)?.bytes.len();
        shared.give_back(freed_len);
        shared.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut shared = self.begin()?;
        shared.file(from)?;
        shared.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        let mut shared = self.begin()?;
        if shared.fails_sync() {
            return Err(io::Error::other("a simulated sync of the directory failed"));
        }
        shared.synced_names = shared.names.clone();
        shared.changes.clear();
        let numbers = &shared.synced_names;
        let is_named = |number: &u64| numbers.values().any(|named| named == number);
        let unnamed: Vec<u64> = shared.files.keys().filter(|number| !is_named(number)).copied().collect();
        for number in unnamed {
            shared.files.remove(&number);
        }
        Ok(())
    }
}

fn zero(bytes: &mut [u8], range: Range<usize>) {
    if let Some(bytes) = bytes.get_mut(range) {
        bytes.fill(0);
    }
}

#[cfg(test)]
mod tests;
