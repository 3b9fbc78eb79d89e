//! What becomes of a committed entry.

use dunlin_rafthttp::raftpb::{Entry, EntryType};
use prost::Message as _;

use super::AppliedChange;
use crate::consensus::change_of;
use crate::store::{Command, MemberError, Outcome, Store};

/// What an entry came to.
#[derive(Debug)]
pub enum AppliedEntry {
    /// Nothing: it was a leader's first one of its term.
    Nothing,
    /// It was a command.
    Command(Command, Outcome),
    /// It was a change of members.
    Change(AppliedChange),
}

/// Why an entry cannot be applied: here or on any other member, so the state cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// An entry is no command.
    #[error("cannot understand the command of entry {index}")]
    Command {
        /// Which.
        index: u64,
        /// Why.
        source: prost::DecodeError,
    },
    /// An entry is a change of members that is not known here.
    #[error("cannot follow the change of members of entry {index}")]
    Change {
        /// Which.
        index: u64,
        /// Why.
        source: MemberError,
    },
    /// An entry says that it is a change of members and is none.
    #[error("cannot read the change of members of entry {index}")]
    NoChange {
        /// Which.
        index: u64,
    },
}

/// Applies an entry to the store, which has all before it.
///
/// # Errors
///
/// [`ApplyError`] when it cannot be.
pub fn apply_entry(store: &mut Store, entry: &Entry) -> Result<AppliedEntry, ApplyError> {
    let index = entry.index;
    if entry.entry_type() == Ok(EntryType::Normal) {
        if entry.data.is_empty() {
            store.skip(index);
            return Ok(AppliedEntry::Nothing);
        }
        let command = Command::decode(entry.data.clone());
        let command = command.map_err(|source| ApplyError::Command { index, source })?;
        let outcome = store.apply(index, &command);
        return Ok(AppliedEntry::Command(command, outcome));
    }
    let change = change_of(entry).ok_or(ApplyError::NoChange { index })?;
    let is_rafts =
        store.apply_change(index, &change).map_err(|source| ApplyError::Change { index, source })?;
    Ok(AppliedEntry::Change(AppliedChange { index, change, is_rafts }))
}
