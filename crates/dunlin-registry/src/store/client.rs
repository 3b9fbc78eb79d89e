//! What clients asked last, so that a retry is not done twice.

use std::collections::BTreeMap;

use prost::Message;

use super::StoreError;
use super::command::{Answered, Command, Outcome};
use crate::limits::{CLIENTS_MAX, REMEMBERED_ANSWER_LEN_MAX};

/// The last command of each client that is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Clients {
    known: BTreeMap<u64, Last>,
    /// Who has been silent for longest comes first, by the index of its last command.
    by_index: BTreeMap<u64, u64>,
}

/// The last command of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) sequence: u64,
    pub(super) index: u64,
    pub(super) outcome: Remembered,
}

/// What came of it. Errors are told anew as what they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remembered {
    Answered(Answered),
    /// The answer was too long to be kept.
    Gone {
        revision: u64,
    },
    Refused(StoreError),
}

impl Remembered {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Ok(answered) if answered.encoded_len() > REMEMBERED_ANSWER_LEN_MAX => {
                Self::Gone { revision: answered.revision }
            }
            Ok(answered) => Self::Answered(answered.clone()),
            Err(error) => Self::Refused(error.clone()),
        }
    }

    fn again(&self) -> Outcome {
        match self {
            Self::Answered(answered) => Ok(answered.clone()),
            Self::Gone { revision } => Err(StoreError::AnswerGone { revision: *revision }),
            Self::Refused(error) => Err(error.clone()),
        }
    }
}

impl Clients {
    /// What came of this command when it was applied before, or why it cannot be said; `None` when it is new.
    pub(super) fn look(&self, command: &Command) -> Option<Outcome> {
        let Command { client, sequence, .. } = *command;
        if client == 0 {
            return None;
        }
        match self.known.get(&client) {
            None if sequence == 1 => None,
            None => Some(Err(StoreError::ClientForgotten { client })),
            Some(last) if sequence == last.sequence => Some(last.outcome.again()),
            Some(last) if last.sequence.checked_add(1) == Some(sequence) => None,
            Some(last) => Some(Err(StoreError::SequenceGap { client, sequence, last: last.sequence })),
        }
    }

    /// Remembers what came of a new command, applied at this index.
    pub(super) fn remember(&mut self, index: u64, command: &Command, outcome: &Outcome) {
        let Command { client, sequence, .. } = *command;
        if client != 0 {
            self.insert(client, Last { sequence, index, outcome: Remembered::of(outcome) });
        }
    }

    pub(super) fn insert(&mut self, client: u64, last: Last) {
        let index = last.index;
        if let Some(before) = self.known.insert(client, last) {
            self.by_index.remove(&before.index);
        }
        self.by_index.insert(index, client);
        if self.known.len() > CLIENTS_MAX
            && let Some((_, silent)) = self.by_index.pop_first()
        {
            self.known.remove(&silent);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Last)> {
        self.known.iter().map(|(client, last)| (*client, last))
    }
}
