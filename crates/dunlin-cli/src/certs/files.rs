//! PEM files: read whole, written so that keys are the owner's alone and are not lost.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// Everybody.
    Public,
    /// The owner alone.
    Secret,
}

/// What happens to a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// It stays, and that is an error.
    Refuse,
    /// The new one takes its place, at once and whole.
    Replace,
}

/// Files that would be written over.
pub(super) struct Taken(Vec<String>);

impl Taken {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.0.len() == 1 { "is" } else { "are" };
        write!(f, "{} {verb}", self.0.join(", "))
    }
}

/// Which files of these certificates and keys are there already.
pub(super) fn taken<const N: usize>(dir: &Path, stems: [&str; N]) -> Taken {
    let names = stems.into_iter().flat_map(|stem| ["pem", "key"].map(|end| format!("{stem}.{end}")));
    Taken(names.filter(|name| fs::symlink_metadata(dir.join(name)).is_ok()).collect())
}

/// Reads a file of PEM.
pub(super) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Writes a file, which is whole as soon as it has its name.
pub(super) fn write(path: &Path, text: &str, secrecy: Secrecy, existing: Existing) -> Result<()> {
    let written = match existing {
        Existing::Refuse => create(path, text, secrecy),
        Existing::Replace => replace(path, text, secrecy),
    };
    written.with_context(|| format!("{} cannot be written", path.display()))
}

/// Fails if the file is there, even if it came a moment ago.
fn create(path: &Path, text: &str, secrecy: Secrecy) -> io::Result<()> {
    let mode = if secrecy == Secrecy::Secret { 0o600 } else { 0o644 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn replace(path: &Path, text: &str, secrecy: Secrecy) -> io::Result<()> {
    let next = path.with_extension("new");
    // One that is left was never used: whoever wrote it did not come to the next line.
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => create(&next, text, secrecy)?,
    }
    fs::rename(&next, path)
}
