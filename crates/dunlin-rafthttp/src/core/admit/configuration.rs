//! Whether the configuration in a snapshot is one that a change of configurations can have made.
//!
//! Raft builds its members anew from it and ends the process when the result is not the same.

use std::collections::BTreeSet;

use crate::core::MemberId;
use crate::raftpb::ConfState;

/// Why a configuration is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// Nobody votes.
    #[error("a configuration needs a voter")]
    NoVoter,
    /// A list names nobody.
    #[error("a configuration names member 0, who is nobody")]
    Nobody,
    /// A list names a member twice.
    #[error("member {member} is twice in one list of a configuration")]
    Twice {
        /// The member.
        member: MemberId,
    },
    /// A learner votes, or is about to become what it is.
    #[error("member {member} is a learner and something else in one configuration")]
    LearnerVotes {
        /// The member.
        member: MemberId,
    },
    /// What becomes a learner when the change ends is no outgoing voter, or goes on to vote.
    #[error("member {member} becomes a learner and is no voter that goes")]
    NotOutgoing {
        /// The member.
        member: MemberId,
    },
    /// Something is left to do when the change ends, and there is no change.
    #[error("a configuration that does not change is to be left")]
    NotChanging,
}

/// Checks the lists against each other.
pub(super) fn check(conf_state: &ConfState) -> Result<(), ConfigurationError> {
    let ConfState { voters, learners, voters_outgoing, learners_next, auto_leave } = conf_state;
    let [voters, learners, outgoing, learners_next] =
        [set(voters)?, set(learners)?, set(voters_outgoing)?, set(learners_next)?];
    if voters.is_empty() {
        return Err(ConfigurationError::NoVoter);
    }
    if let Some(id) = learners.iter().find(|id| voters.contains(id) || outgoing.contains(id)) {
        return Err(ConfigurationError::LearnerVotes { member: MemberId(*id) });
    }
    if outgoing.is_empty() && (*auto_leave || !learners_next.is_empty()) {
        return Err(ConfigurationError::NotChanging);
    }
    if let Some(id) = learners_next.iter().find(|id| !outgoing.contains(id) || voters.contains(id)) {
        return Err(ConfigurationError::NotOutgoing { member: MemberId(*id) });
    }
    Ok(())
}

/// Whether a member is in it. Those who become learners still vote as outgoing ones.
pub(super) fn has_member(conf_state: &ConfState, member: MemberId) -> bool {
    let lists = [&conf_state.voters, &conf_state.learners, &conf_state.voters_outgoing];
    lists.iter().any(|list| list.contains(&member.0))
}

fn set(list: &[u64]) -> Result<BTreeSet<u64>, ConfigurationError> {
    let mut members = BTreeSet::new();
    for id in list {
        if *id == 0 {
            return Err(ConfigurationError::Nobody);
        }
        if !members.insert(*id) {
            return Err(ConfigurationError::Twice { member: MemberId(*id) });
        }
    }
    Ok(members)
}
