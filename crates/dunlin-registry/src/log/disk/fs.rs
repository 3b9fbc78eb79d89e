//! A directory of the file system as a [`Disk`], held by one process at a time.
//!
//! The file that was appended to last stays open, so that a batch is two system calls. Modes of files are those of Unix.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Disk;

/// The file whose lock says that somebody has the directory. It is never removed: who holds the lock of a removed file keeps
/// nobody out.
const LOCK_NAME: &str = "lock";

/// Why a directory could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Another process has it.
    #[error("the directory {} is in use by another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It could not be made.
    #[error("cannot make the directory {}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It, or the file of its lock, could not be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The directory or the file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system could not tell whether another process has it.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// The file of the lock.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A directory of the file system. Nobody else can have it while this lives.
#[derive(Debug)]
pub struct FsDisk {
    path: PathBuf,
    /// The directory itself, open to be synced.
    directory: File,
    tail: Option<Tail>,
    /// Held for its lock.
    _lock: File,
}

/// The file that was appended to last.
#[derive(Debug)]
struct Tail {
    name: String,
    file: File,
    /// Whether more than its end changed since it was synced, or might have before it was opened here.
    is_changed: bool,
}

impl FsDisk {
    /// Takes a directory, which is made when it is not there, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] when another process has it, or the system refuses.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DirectoryError> {
        let path = path.into();
        make(&path).map_err(|source| DirectoryError::Create { path: path.clone(), source })?;
        let lock_path = path.join(LOCK_NAME);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        owner_only(&mut options);
        let lock = options
            .open(&lock_path)
            .map_err(|source| DirectoryError::Open { path: lock_path.clone(), source })?;
        take(&lock, &path, lock_path)?;
        let directory =
            File::open(&path).map_err(|source| DirectoryError::Open { path: path.clone(), source })?;
        Ok(Self { path, directory, tail: None, _lock: lock })
    }

    /// Where a file lies. A name that leads out of the directory is a fault of ours.
    fn place(&self, name: &str) -> io::Result<PathBuf> {
        if Path::new(name).file_name() == Some(name.as_ref()) {
            Ok(self.path.join(name))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))
        }
    }

    fn tail(&mut self, name: &str) -> io::Result<&mut Tail> {
        match self.tail.take() {
            Some(tail) if tail.name == name => Ok(self.tail.insert(tail)),
            _ => {
                let file = OpenOptions::new().append(true).open(self.place(name)?)?;
                Ok(self.tail.insert(Tail { name: name.to_owned(), file, is_changed: true }))
            }
        }
    }

    fn forget(&mut self, name: &str) {
        self.tail.take_if(|tail| tail.name == name);
    }
}

impl Disk for FsDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // A name that is not text is no name of ours.
            if let Ok(name) = entry.file_name().into_string()
                && name != LOCK_NAME
                && entry.file_type()?.is_file()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.place(name)?)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        owner_only(&mut options);
        let file = options.open(self.place(name)?)?;
        self.tail = Some(Tail { name: name.to_owned(), file, is_changed: true });
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.tail(name)?.file.write_all(bytes)
    }

    fn rewrite(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // Not by the file that is open to append: on Linux that one appends, wherever it is told to write.
        self.forget(name);
        let mut file = OpenOptions::new().write(true).open(self.place(name)?)?;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let tail = self.tail(name)?;
        if tail.is_changed {
            tail.file.sync_all()?;
            tail.is_changed = false;
            return Ok(());
        }
        // What was appended, and the length that it made; the times of the file are not worth a second write.
        tail.file.sync_data()
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        let tail = self.tail(name)?;
        tail.is_changed = true;
        tail.file.set_len(len)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.forget(name);
        fs::remove_file(self.place(name)?)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.forget(from);
        self.forget(to);
        fs::rename(self.place(from)?, self.place(to)?)
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        self.directory.sync_all()
    }
}

fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path)?;
    // The new name has to stay as well.
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn owner_only(options: &mut OpenOptions) {
    #[cfg(unix)]
    options.mode(0o600);
}

fn take(lock: &File, path: &Path, lock_path: PathBuf) -> Result<(), DirectoryError> {
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => DirectoryError::InUse { path: path.to_owned() },
        TryLockError::Error(source) => DirectoryError::Lock { path: lock_path, source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_shortened_renamed_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = FsDisk::open(directory.path().join("deep/log")).unwrap();
        disk.create("a").unwrap();
        disk.create("b").unwrap();
        disk.append("a", b"hello").unwrap();
        disk.append("b", b"there").unwrap();
        disk.append("a", b" you").unwrap();
        disk.sync("a").unwrap();
        disk.truncate("a", 5).unwrap();
        disk.append("a", b"!").unwrap();
        disk.sync("a").unwrap();
        disk.rewrite("a", 1, b"ello").unwrap();
        disk.sync("a").unwrap();
        disk.rename("a", "c").unwrap();
        disk.append("c", b"!").unwrap();
        disk.remove("b").unwrap();
        disk.sync_directory().unwrap();
        assert_eq!(disk.list().unwrap(), ["c"]);
        assert_eq!(disk.read("c").unwrap(), b"hello!!");
        assert_eq!(disk.create("c").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(disk.append("b", b"x").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn directory_is_held_by_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let held = FsDisk::open(directory.path()).unwrap();
        assert!(matches!(FsDisk::open(directory.path()), Err(DirectoryError::InUse { .. })));
        drop(held);
        FsDisk::open(directory.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn what_is_made_belongs_to_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut disk = FsDisk::open(&path).unwrap();
        disk.create("a").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("a")), mode(&path.join("lock"))), (0o700, 0o600, 0o600));
    }

    #[test]
    fn name_that_leads_out_of_the_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = FsDisk::open(directory.path()).unwrap();
        for name in ["../a", "a/b", "", "..", "/a"] {
            assert_eq!(disk.create(name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
    }
}
