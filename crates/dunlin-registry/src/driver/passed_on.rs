//! What other members pass on to whom they take for the leader: what they want to be in the log, and at which index they may read.
//!
//! Commands are proposed with the next step, as they are. A change of members is looked at first as if this member had been asked for
//! it: whoever passed it on may know less of the others, or be the member of another program that looks at nothing. One that comes
//! while another one is on its way waits for that: whoever passed it on may have seen the other one applied before the leader did.
//!
//! Invariant: what waits is bounded, and looked at anew when its turn has come.

use bytes::Bytes;
use dunlin_rafthttp::raftpb::{ConfChangeV2, Entry, EntryType, Message, MessageType};

use super::{ChangeError, Driver, leads};
use crate::consensus::{CoreError, RaftCore, change_of};
use crate::limits::{PASSED_ON_CHANGES_LEN_MAX, PASSED_ON_CHANGES_MAX};
use crate::store::MemberError;

/// Why a change of members is not proposed that somebody passed on. He hears nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PassedOnError {
    /// It cannot be read.
    #[error("the change of members cannot be read")]
    Unreadable,
    /// It is refused by what is known of members.
    #[error("the change of members is refused")]
    Member(#[from] MemberError),
    /// It is not safe.
    #[error("the change of members is not safe now")]
    Change(#[from] ChangeError),
    /// The core does not take it.
    #[error("the change of members is not taken")]
    Core(#[from] CoreError),
}

impl<C: RaftCore> Driver<C> {
    /// A message came that was admitted. What the core does not take is gone, as if it had been lost on its way. `check` says what
    /// the state machine knows against a change of members; it is asked only when one is passed on to this member while it leads.
    ///
    /// # Errors
    ///
    /// [`PassedOnError`] for the first change of members that is not proposed.
    pub fn handle_message(
        &mut self,
        message: Message,
        check: impl Fn(&ConfChangeV2) -> Result<(), MemberError>,
    ) -> Result<(), PassedOnError> {
        if message.is(MessageType::ReadIndex) && leads(&self.core.look()) {
            let ask = self.reads.insert_others(message);
            self.ask_read(ask);
            return Ok(());
        }
        let has_change = !message.entries.iter().all(is_normal);
        // A follower passes on what it is told, and its leader looks at it.
        if !message.is(MessageType::Prop) || (has_change && !leads(&self.core.look())) {
            self.core.handle_message(message).ok();
            return Ok(());
        }
        let mut result = Ok(());
        for entry in message.entries {
            if is_normal(&entry) {
                self.passed_on.push(entry.data);
            } else {
                result = result.and(self.take_change(entry, &check));
            }
        }
        result
    }

    /// This member wants something to be in the log, and nobody waits for it: if it is lost, that is that.
    pub fn handle_unattended(&mut self, data: Bytes) {
        self.passed_on.push(data);
    }

    /// Changes that waited for another one, when that is applied: to be given to [`handle_message`](Self::handle_message) again. To be
    /// asked for after whatever was applied.
    #[must_use]
    pub fn take_passed_on_changes(&mut self) -> Option<Message> {
        if self.passed_on_changes.is_empty() || self.core.has_pending_change() {
            return None;
        }
        let entries = std::mem::take(&mut self.passed_on_changes);
        Some(Message { msg_type: MessageType::Prop.into(), entries, ..Message::default() })
    }

    /// Proposes a change that was passed on, if it is one that may be, or lets it wait for the one that is on its way.
    fn take_change(
        &mut self,
        entry: Entry,
        check: impl Fn(&ConfChangeV2) -> Result<(), MemberError>,
    ) -> Result<(), PassedOnError> {
        if self.core.has_pending_change() {
            let len: usize = self.passed_on_changes.iter().map(|waiting| waiting.data.len()).sum();
            let has_room = self.passed_on_changes.len() < PASSED_ON_CHANGES_MAX
                && len.saturating_add(entry.data.len()) <= PASSED_ON_CHANGES_LEN_MAX;
            if !has_room {
                return Err(ChangeError::OneAtATime.into());
            }
            self.passed_on_changes.push(entry);
            return Ok(());
        }
        let entry_type = entry.entry_type().map_err(|_| PassedOnError::Unreadable)?;
        let change = change_of(&entry).ok_or(PassedOnError::Unreadable)?;
        check(&change)?;
        self.check_change(&change)?;
        Ok(self.core.propose(entry_type, entry.data)?)
    }
}

fn is_normal(entry: &Entry) -> bool {
    entry.entry_type() == Ok(EntryType::Normal)
}
