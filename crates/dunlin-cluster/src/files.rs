//! What was read from files, and is read again when they changed: certificates and keys, which are renewed while nodes run.
//!
//! Whoever uses it takes the newest with [`FromFiles::get`] each time something begins; what has begun keeps what it took.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// How often it is looked whether files have changed.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// A value that is made of files.
#[derive(Debug)]
pub struct FromFiles<T> {
    paths: Vec<PathBuf>,
    current: RwLock<Current<T>>,
}

#[derive(Debug)]
struct Current<T> {
    value: Arc<T>,
    /// When the files were written that it was made of, and how long they were.
    seen: Vec<Option<(SystemTime, u64)>>,
}

impl<T> FromFiles<T> {
    /// Makes the value, `read` of these files.
    ///
    /// # Errors
    ///
    /// That of `read`.
    pub fn read<E>(paths: Vec<PathBuf>, read: impl FnOnce() -> Result<T, E>) -> Result<Self, E> {
        // Looked at before they are read: what is written meanwhile is seen as a change.
        let seen = paths.iter().map(|path| look(path)).collect();
        let current = RwLock::new(Current { value: Arc::new(read()?), seen });
        Ok(Self { paths, current })
    }

    /// The value of now.
    pub fn get(&self) -> Arc<T> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).value.clone()
    }

    /// Whether the files were written since they were read.
    pub fn is_stale(&self) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        !self.paths.iter().map(|path| look(path)).eq(current.seen.iter().copied())
    }

    /// Makes the value anew. On an error the old one stays, and the files stay stale.
    ///
    /// # Errors
    ///
    /// That of `read`.
    pub fn read_again<E>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<(), E> {
        let seen = self.paths.iter().map(|path| look(path)).collect();
        let value = Arc::new(read()?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { value, seen };
        Ok(())
    }
}

fn look(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_changed_is_stale_until_it_was_read_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        fs::write(&path, "1").unwrap();
        let read = || fs::read_to_string(&path).unwrap().parse::<u32>();
        let number = FromFiles::read(vec![path.clone()], read).unwrap();
        assert!(!number.is_stale());
        fs::write(&path, "22").unwrap();
        assert!(number.is_stale());
        assert_eq!(*number.get(), 1, "nobody has read it");
        number.read_again(read).unwrap();
        assert!(!number.is_stale());
        assert_eq!(*number.get(), 22);
        fs::write(&path, "none").unwrap();
        assert!(number.read_again(read).is_err());
        assert!(number.is_stale(), "it is tried again");
        assert_eq!(*number.get(), 22);
    }
}
