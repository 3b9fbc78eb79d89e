//! Whether a change of members is safe to propose, by what the leader knows of the others. Who does not lead knows the configuration
//! alone, and refuses by it what its leader would.

use bytes::{Bytes, BytesMut};
use dunlin_rafthttp::raftpb::{
    self, ConfChange, ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType,
};

use super::{Proposal, RequestId};
use crate::consensus::{CoreLook, Progress, Role, change_of};
use crate::limits::PROMOTE_LAG_MAX;

/// Why a change of members is not proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// Another change is on its way.
    #[error("another change of members is on its way")]
    OneAtATime,
    /// The voters that are left and answer would be too few to decide anything.
    #[error("of {voters} voters {active} would answer, fewer than the {quorum} it takes")]
    Quorum {
        /// Voters after the change.
        voters: usize,
        /// Those of them that were heard of.
        active: usize,
        /// How many it takes.
        quorum: usize,
    },
    /// A member becomes a voter when it has nearly all of the log, which it learns first.
    #[error("member {id:x} has entries up to {matched} of {last_index}; it is to learn more before it votes")]
    Behind {
        /// Which.
        id: u64,
        /// The last entry that it is known to have.
        matched: u64,
        /// The last entry there is.
        last_index: u64,
    },
    /// A member becomes a voter after it has been a learner.
    #[error("member {id:x} is no learner; it is to be one before it votes")]
    NotLearner {
        /// Which.
        id: u64,
    },
    /// The last voter cannot go.
    #[error("without member {id:x} there would be no voter")]
    LastVoter {
        /// Which.
        id: u64,
    },
    /// The leader cannot leave a group of two: the other one might never hear that it is alone, and wait for a vote for ever.
    #[error("member {id:x} leads a group of two and cannot leave it; the other one is to lead first")]
    LeavesOne {
        /// The leader.
        id: u64,
    },
    /// Too much waits already.
    #[error("this member has too much to do")]
    Overloaded,
}

/// A change of one member, and the entry that proposes it. Whoever sees the entry applied knows it by the number.
#[must_use]
pub fn member_change(
    number: RequestId,
    change_type: ConfChangeType,
    id: u64,
    context: Bytes,
) -> (ConfChangeV2, Proposal) {
    let change_type = change_type.into();
    let step = ConfChangeSingle { change_type, node_id: id };
    let change = ConfChangeV2 { changes: vec![step], context: context.clone(), ..ConfChangeV2::default() };
    let mut data = BytesMut::new();
    raftpb::encode(&ConfChange { id: number, change_type, node_id: id, context }, &mut data);
    let data = data.freeze();
    (change, Proposal { entry_type: EntryType::ConfChange, data, is_repeatable: false })
}

/// The change of members that is proposed, if it is one.
pub(super) fn change_in(proposal: &Proposal) -> Option<ConfChangeV2> {
    let Proposal { entry_type, data, .. } = proposal;
    change_of(&Entry { entry_type: (*entry_type).into(), data: data.clone(), ..Entry::default() })
}

/// Looks at a change.
pub(super) fn check(
    look: &CoreLook,
    progress: &[Progress],
    conf_state: &ConfState,
    change: &ConfChangeV2,
) -> Result<(), ChangeError> {
    // The core takes no step before a change of several steps is over.
    if !conf_state.voters_outgoing.is_empty() && !change.changes.is_empty() {
        return Err(ChangeError::OneAtATime);
    }
    let leads = look.role == Role::Leader;
    let mut voters = conf_state.voters.clone();
    for step in &change.changes {
        let id = step.node_id;
        match step.change_type() {
            Ok(ConfChangeType::AddNode) if !voters.contains(&id) => {
                if !conf_state.learners.contains(&id) {
                    return Err(ChangeError::NotLearner { id });
                }
                if leads {
                    check_caught_up(look, progress, id)?;
                }
                voters.push(id);
            }
            Ok(ConfChangeType::RemoveNode | ConfChangeType::AddLearnerNode) if voters.contains(&id) => {
                voters.retain(|voter| *voter != id);
                if voters.is_empty() {
                    return Err(ChangeError::LastVoter { id });
                }
                if voters.len() == 1 && id == look.leader {
                    return Err(ChangeError::LeavesOne { id });
                }
            }
            // Who is where is nothing that Raft counts; what is unknown is refused by the state machine.
            Ok(_) | Err(_) => {}
        }
    }
    if voters == conf_state.voters || !leads {
        return Ok(());
    }
    let is_active = |id: &&u64| progress.iter().any(|progress| progress.id == **id && progress.is_active);
    let (active, quorum) = (voters.iter().filter(is_active).count(), voters.len() / 2 + 1);
    if active < quorum {
        return Err(ChangeError::Quorum { voters: voters.len(), active, quorum });
    }
    Ok(())
}

fn check_caught_up(look: &CoreLook, progress: &[Progress], id: u64) -> Result<(), ChangeError> {
    let known = progress.iter().find(|progress| progress.id == id);
    let (matched, last_index) = (known.map_or(0, |known| known.matched), look.last_index);
    // One that was never heard of has nothing, however short the log is.
    if matched == 0 || last_index.saturating_sub(matched) > PROMOTE_LAG_MAX {
        return Err(ChangeError::Behind { id, matched, last_index });
    }
    Ok(())
}
