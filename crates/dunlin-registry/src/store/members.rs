//! Who is in the Raft group and where, and who was. Raft itself knows ids alone.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dunlin_rafthttp::raftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2};
use prost::Message;

/// A member of the Raft group. In a change of members it is the context.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Member {
    /// Its id, which nobody had before it and nobody has after.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// What people call it.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Where other members reach it.
    #[prost(string, repeated, tag = "3")]
    pub urls: Vec<String>,
    /// Whether it only learns: it has no vote yet.
    #[prost(bool, tag = "4")]
    pub is_learner: bool,
    /// Whether the leader is to give it a vote as soon as it has nearly all of the log.
    #[prost(bool, tag = "5")]
    pub wants_vote: bool,
}

/// Why a change of members is not proposed, or cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// It was removed, and an id never returns.
    #[error("member {id:x} was removed")]
    Removed {
        /// Which.
        id: u64,
    },
    /// There is no such member.
    #[error("there is no member {id:x}")]
    Unknown {
        /// Which.
        id: u64,
    },
    /// The change does something that is not known here.
    #[error("a change of type {change_type} is not known")]
    UnknownChange {
        /// Its type.
        change_type: i32,
    },
}

/// The members.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    members: BTreeMap<u64, Member>,
    removed: BTreeSet<u64>,
}

impl Member {
    /// What a change says of a member: ours, or the URL alone as other programs write it.
    fn of_context(id: u64, context: &Bytes) -> Self {
        let is_url = context.starts_with(b"http://") || context.starts_with(b"https://");
        let said = if is_url { None } else { Self::decode(context.clone()).ok() };
        let url = || std::str::from_utf8(context).ok().filter(|_| is_url).map(str::to_owned);
        let said = said.unwrap_or_else(|| Self { urls: url().into_iter().collect(), ..Self::default() });
        Self { id, ..said }
    }
}

impl Members {
    /// Whether a change may be proposed.
    pub(super) fn check(&self, change: &ConfChangeV2) -> Result<(), MemberError> {
        for step in &change.changes {
            let (id, change_type) = (step.node_id, known(step)?);
            let is_there = self.members.contains_key(&id);
            match change_type {
                _ if self.removed.contains(&id) => return Err(MemberError::Removed { id }),
                ConfChangeType::RemoveNode | ConfChangeType::UpdateNode if !is_there => {
                    return Err(MemberError::Unknown { id });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Follows a change that was committed, whatever it is: what Raft does about it is the same on members that are not ours.
    /// Whether Raft is to hear of it.
    pub(super) fn apply(&mut self, change: &ConfChangeV2) -> Result<bool, MemberError> {
        let steps: Vec<_> =
            change.changes.iter().map(|step| Ok((known(step)?, step.node_id))).collect::<Result<_, _>>()?;
        // A change without steps ends a joint configuration, which is Raft's alone.
        let is_rafts = steps.is_empty()
            || steps.iter().any(|(change_type, _)| *change_type != ConfChangeType::UpdateNode);
        for (change_type, id) in steps {
            self.apply_step(change_type, id, &change.context);
        }
        Ok(is_rafts)
    }

    fn apply_step(&mut self, change_type: ConfChangeType, id: u64, context: &Bytes) {
        let known = self.members.remove(&id);
        match change_type {
            ConfChangeType::AddNode | ConfChangeType::AddLearnerNode => {
                let is_learner = change_type == ConfChangeType::AddLearnerNode;
                // One that is there keeps what is known of it where nothing new is said.
                let known = known.filter(|_| context.is_empty());
                let member = known.unwrap_or_else(|| Member::of_context(id, context));
                self.removed.remove(&id);
                self.members.insert(id, Member { is_learner, ..member });
            }
            ConfChangeType::UpdateNode => {
                if let Some(Member { is_learner, .. }) = known {
                    self.members.insert(id, Member { is_learner, ..Member::of_context(id, context) });
                }
            }
            ConfChangeType::RemoveNode => {
                self.removed.insert(id);
            }
        }
    }

    pub(super) fn restore(&mut self, member: Member) {
        self.members.insert(member.id, member);
    }

    pub(super) fn restore_removed(&mut self, id: u64) {
        self.removed.insert(id);
    }

    pub(super) fn get(&self, id: u64) -> Option<&Member> {
        self.members.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub(super) fn is_removed(&self, id: u64) -> bool {
        self.removed.contains(&id)
    }

    pub(super) fn removed(&self) -> impl Iterator<Item = u64> + '_ {
        self.removed.iter().copied()
    }
}

fn known(step: &ConfChangeSingle) -> Result<ConfChangeType, MemberError> {
    step.change_type().map_err(|_| MemberError::UnknownChange { change_type: step.change_type })
}
