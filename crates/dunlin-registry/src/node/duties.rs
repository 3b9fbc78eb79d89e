//! What a leader does of itself: it ends leases, gives votes, and hands over when it is no good any more.

use std::time::Instant;

use bytes::Bytes;
use dunlin_rafthttp::raftpb::ConfChangeType;
use prost::Message as _;

use super::run::Runner;
use crate::driver::member_change;
use crate::store::{Command, LeaseRevoke, Member, Operation};

/// Requests of the leader's own have numbers of their own.
const OWN_REQUESTS: u64 = 1 << 63;

impl Runner {
    /// Proposes to end the leases that are over. What is proposed twice is refused the second time.
    pub(super) fn expire_leases(&mut self) {
        let over = self.clock.look(Instant::now(), self.shared.store().leases());
        for look in over {
            let revoke = LeaseRevoke { lease: look.lease, if_renewed_at: Some(look.renewed_at) };
            let command = Command { operation: Some(Operation::LeaseRevoke(revoke)), ..Command::default() };
            // If it is lost, the lease is looked at again with the next tick.
            self.driver.handle_unattended(command.encode_to_vec().into());
        }
    }

    /// Gives a vote to the first of those who want one and have nearly all of the log.
    pub(super) fn promote(&mut self) {
        let waits = |member: &&Member| member.is_learner && member.wants_vote;
        let ids: Vec<u64> = self.shared.store().members().filter(waits).map(|member| member.id).collect();
        for id in ids {
            let request = id ^ OWN_REQUESTS;
            let (change, proposal) = member_change(request, ConfChangeType::AddNode, id, Bytes::new());
            if self.driver.handle_change(request, (&change, proposal)).is_ok() {
                self.driver.handle_forgotten(request);
                return;
            }
        }
    }

    /// A leader that cannot write is no good one.
    pub(super) fn hand_over(&mut self) {
        let me = self.shared.id.0;
        let others = self.driver.progress().into_iter();
        let fit = others.filter(|other| other.id != me && other.is_active && !other.is_learner);
        if let Some(best) = fit.max_by_key(|other| other.matched) {
            self.driver.handle_transfer(best.id);
        }
    }
}
