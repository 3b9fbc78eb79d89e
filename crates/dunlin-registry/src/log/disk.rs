//! What the log needs of a disk: one flat directory of files, and to be told when what was written will stay.
//!
//! Knows nothing of what the files hold. [`FsDisk`] is a directory of the file system, [`MemDisk`] one in memory that can lose
//! what was not synced, and fail on demand. Read next: `disk/mem.rs`, what a crash may do.
//!
//! Invariants: nothing is promised about what was written before [`Disk::sync`] returned, nor about names before
//! [`Disk::sync_directory`] did; a call that failed may have been done in part.

mod fs;
mod mem;

use std::io;

pub use fs::{DirectoryError, FsDisk};
pub use mem::{Fate, MemDisk, Unsynced};

/// One flat directory of files that are appended to. All calls wait until they are done.
///
/// # Errors
///
/// Every method gives the error of the system as it came. One whose kind is [`io::ErrorKind::StorageFull`] or
/// [`io::ErrorKind::QuotaExceeded`] says that there was no room.
#[expect(clippy::missing_errors_doc, reason = "said once for the trait")]
pub trait Disk {
    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// The whole of a file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Makes a file that is empty and was not there.
    fn create(&mut self, name: &str) -> io::Result<()>;

    /// Appends to a file. After an error a part of the bytes may be there.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Writes bytes over the same bytes of a file, which changes nothing but that the next sync writes them.
    fn rewrite(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes what is in a file stay, and its length. After an error it may never do so, however often it is called again: the
    /// system may have forgotten that there is something to write, and only [`Disk::rewrite`] reminds it.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Shortens a file.
    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()>;

    /// Takes a file away.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Gives a file another name; a file that has it is replaced.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Makes the names stay: which files there are, not what is in them.
    fn sync_directory(&mut self) -> io::Result<()>;
}

/// Whether an error says that there was no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
