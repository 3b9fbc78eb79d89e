//! Changes of members from afar, asked of any member, and how somebody new joins.

use dunlin_rafthttp::ClusterId;

use super::messages::{ChangeMemberRequest, MemberChange, StatusResponse};
use super::remote::{Client, RemoteRegistry};
use crate::error::RegistryError;
use crate::store::Member;

impl RemoteRegistry {
    /// Adds a member that learns, and votes as soon as it has nearly all of the log.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the change to its fate: it may be done.
    pub async fn add_member(&self, member: &Member) -> Result<(), RegistryError> {
        self.change(MemberChange::Add, member.clone()).await
    }

    /// Adds a member that learns, and votes when it is promoted.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`add_member`](Self::add_member).
    pub async fn add_learner(&self, member: &Member) -> Result<(), RegistryError> {
        self.change(MemberChange::AddLearner, member.clone()).await
    }

    /// Gives a learner a vote, once it has nearly all of the log.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`add_member`](Self::add_member).
    pub async fn promote(&self, id: u64) -> Result<(), RegistryError> {
        self.change(MemberChange::Promote, Member { id, ..Member::default() }).await
    }

    /// Removes a member for ever.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`add_member`](Self::add_member).
    pub async fn remove_member(&self, id: u64) -> Result<(), RegistryError> {
        self.change(MemberChange::Remove, Member { id, ..Member::default() }).await
    }

    /// Says anew what a member is called and where it is.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`add_member`](Self::add_member).
    pub async fn update_member(&self, member: &Member) -> Result<(), RegistryError> {
        self.change(MemberChange::Update, member.clone()).await
    }

    /// Asks the leader to hand over to a member. It may not, and says nothing then.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] when nobody can be asked.
    ///
    /// # Cancel safety
    ///
    /// As of [`add_member`](Self::add_member).
    pub async fn transfer_leadership(&self, to: u64) -> Result<(), RegistryError> {
        self.change(MemberChange::Transfer, Member { id: to, ..Member::default() }).await
    }

    /// Makes somebody a member of a group that runs, by asking any member of it: the group, and who is in it, to begin with
    /// [`Begin::Join`](crate::Begin::Join). Who is a member already is told the same again.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`add_member`](Self::add_member); it can be asked for again.
    pub async fn join(&self, member: &Member) -> Result<(ClusterId, Vec<Member>), RegistryError> {
        let StatusResponse { members, cluster, .. } = self.status().await?;
        let is_there = |known: &Member| known.id == member.id && known.urls == member.urls;
        if members.iter().any(is_there) {
            return Ok((ClusterId(cluster), members));
        }
        self.add_member(member).await?;
        Ok((ClusterId(cluster), self.status().await?.members))
    }

    async fn change(&self, change: MemberChange, member: Member) -> Result<(), RegistryError> {
        let request = ChangeMemberRequest { change: change.into(), member, timeout_ms: self.timeout_ms() };
        let ask = |mut asked: Client| {
            let request = request.clone();
            async move { asked.change_member(request).await }
        };
        // It has no number, so that a member that takes its time is not asked a second time by way of another.
        self.ask_each(self.timeout(), ask).await.map(drop)
    }
}
