//! The registry as a member has it, and what else a program asks of a member: how it does, and changes of members.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dunlin_rafthttp::raftpb::{ConfChangeType, EntryType};
use futures_util::future::BoxFuture;
use prost::Message as _;
use tokio::time::{sleep, timeout};

use crate::driver::{ChangeError, Proposal, RequestId, member_change};
use crate::error::RegistryError;
use crate::limits::{CHANGE_PAUSE, COMMAND_LEN_MAX, REQUEST_TIMEOUT};
use crate::node::{Done, Input, Shared, State};
use crate::numbers::Numbers;
use crate::registry::{Consistency, Registry};
use crate::store::{Answered, Command, KeyRange, Member, Operation, RangeAnswer};
use crate::watch::{StoreSource, Watch};

/// A handle on the registry of a member in the same process. Clones are the same handle.
///
/// Every request has a time after which it is given up; see [`with_timeout`](Self::with_timeout). A command that timed out may be done
/// all the same, once: it is proposed again with the same number while there is time.
#[derive(Debug, Clone)]
pub struct LocalRegistry {
    shared: Arc<Shared>,
    requests: Arc<AtomicU64>,
    numbers: Arc<Numbers>,
    timeout: Duration,
}

impl LocalRegistry {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        // Numbers of requests are in the log, where those of other members and of lives before are too.
        let requests = Arc::new(AtomicU64::new(fastrand::u64(..) >> 1));
        Self { shared, requests, numbers: Arc::default(), timeout: REQUEST_TIMEOUT }
    }

    /// The same with another time for each request.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Does something under a number of the caller's own: the client's id, not 0, and the number of this command among the client's,
    /// from 1 on without a gap. With the same number it is done once, on whatever member and however often it is asked for.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the command to its fate; the same number finds out what came of it.
    pub async fn execute_numbered(
        &self,
        (client, sequence): (u64, u64),
        operation: Operation,
    ) -> Result<Answered, RegistryError> {
        self.within_time(self.propose((client, sequence), operation)).await
    }

    async fn propose(
        &self,
        (client, sequence): (u64, u64),
        operation: Operation,
    ) -> Result<Answered, RegistryError> {
        let request = self.next_request();
        let command = Command { client, sequence, operation: Some(operation), request };
        let len = command.encoded_len();
        if len > COMMAND_LEN_MAX {
            return Err(RegistryError::TooLarge { len, len_max: COMMAND_LEN_MAX });
        }
        let data = command.encode_to_vec().into();
        let proposal = Proposal { entry_type: EntryType::Normal, data, is_repeatable: client != 0 };
        match self.ask(request, Input::Propose(request, proposal)).await? {
            Done::Command(outcome) => Ok(outcome?),
            Done::Refused(error) => Err(error),
            // Numbers of requests are used once.
            Done::Change | Done::Readable => Err(RegistryError::Stopped),
        }
    }

    /// Waits until what this member has is as fresh as anything that was answered before.
    async fn wait_readable(&self) -> Result<(), RegistryError> {
        let request = self.next_request();
        self.within_time(self.ask_whether(request, Input::Read(request))).await
    }

    /// What this member is and how it does.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.state.borrow().clone()
    }

    /// The id of this member.
    #[must_use]
    pub fn member_id(&self) -> u64 {
        self.shared.id.0
    }

    /// The id of the group.
    #[must_use]
    pub fn cluster_id(&self) -> u64 {
        self.shared.cluster.0
    }

    /// The revision of what this member has.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.shared.store().revision()
    }

    /// The members of the Raft group, as this member knows them.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.shared.store().members().cloned().collect()
    }

    /// Adds a member that learns, and votes when it is promoted. Any member can be asked for changes of members: one that does not lead
    /// passes them on, and answers when they are applied here.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]. What only the leader knows against a change that was passed on, it does not say: then the time is over.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the change to its fate: it may be done.
    pub async fn add_learner(&self, member: &Member) -> Result<(), RegistryError> {
        let context = member.encode_to_vec().into();
        self.change(ConfChangeType::AddLearnerNode, member.id, context).await
    }

    /// Adds a member that learns, and votes as soon as it has nearly all of the log.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`add_learner`](Self::add_learner).
    pub async fn add_member(&self, member: &Member) -> Result<(), RegistryError> {
        self.add_learner(&Member { wants_vote: true, ..member.clone() }).await
    }

    /// Gives a learner a vote, once it has nearly all of the log.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`add_learner`](Self::add_learner).
    pub async fn promote(&self, id: u64) -> Result<(), RegistryError> {
        self.change(ConfChangeType::AddNode, id, Bytes::new()).await
    }

    /// Removes a member for ever.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`add_learner`](Self::add_learner).
    pub async fn remove_member(&self, id: u64) -> Result<(), RegistryError> {
        self.change(ConfChangeType::RemoveNode, id, Bytes::new()).await
    }

    /// Says anew what a member is called and where it is.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`add_learner`](Self::add_learner).
    pub async fn update_member(&self, member: &Member) -> Result<(), RegistryError> {
        self.change(ConfChangeType::UpdateNode, member.id, member.encode_to_vec().into()).await
    }

    async fn change(
        &self,
        change_type: ConfChangeType,
        id: u64,
        context: Bytes,
    ) -> Result<(), RegistryError> {
        let mut has_met_another = false;
        let asking = async {
            loop {
                let request = self.next_request();
                let (change, proposal) = member_change(request, change_type, id, context.clone());
                match self.ask_whether(request, Input::Change(request, change, proposal)).await {
                    // Nothing came of it, and the one that is on its way is there soon.
                    Err(RegistryError::Change(ChangeError::OneAtATime)) => has_met_another = true,
                    done => return done,
                }
                sleep(CHANGE_PAUSE).await;
            }
        };
        match self.within_time(asking).await {
            Err(RegistryError::TimedOut) if has_met_another => Err(ChangeError::OneAtATime.into()),
            done => done,
        }
    }

    /// Has the leader asked to hand over to a member, by whichever member. It may not, and says nothing then.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] when this member cannot be asked.
    pub fn transfer_leadership(&self, to: u64) -> Result<(), RegistryError> {
        self.tell(Input::Transfer(to))
    }

    /// What a member has that has stopped is never fresh again.
    fn check_running(&self) -> Result<(), RegistryError> {
        if self.shared.stop.is_cancelled() { Err(RegistryError::Stopped) } else { Ok(()) }
    }

    fn next_request(&self) -> RequestId {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    async fn ask(&self, request: RequestId, input: Input) -> Result<Done, RegistryError> {
        let told = self.shared.waiting().insert(request);
        let mut waits = Waits { registry: self, request, is_over: false };
        self.tell(input)?;
        let done = told.await.map_err(|_| RegistryError::Stopped)?;
        // Of a read that is answered nobody knows any more.
        waits.is_over = matches!(done, Done::Readable);
        Ok(done)
    }

    /// Asks for what is done or refused, with nothing more to be said of it.
    async fn ask_whether(&self, request: RequestId, input: Input) -> Result<(), RegistryError> {
        match self.ask(request, input).await? {
            Done::Refused(error) => Err(error),
            Done::Command(_) | Done::Change | Done::Readable => Ok(()),
        }
    }

    fn tell(&self, input: Input) -> Result<(), RegistryError> {
        self.shared.inputs.try_send(input).map_err(|error| match error {
            tokio::sync::mpsc::error::TrySendError::Full(_) => RegistryError::Overloaded,
            tokio::sync::mpsc::error::TrySendError::Closed(_) => RegistryError::Stopped,
        })
    }

    async fn within_time<T>(
        &self,
        work: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        let is_led = || self.shared.state.borrow().leader != 0;
        timeout(self.timeout, work)
            .await
            .unwrap_or_else(|_| Err(if is_led() { RegistryError::TimedOut } else { RegistryError::NoLeader }))
    }
}

impl Registry for LocalRegistry {
    fn execute(&self, operation: Operation) -> BoxFuture<'_, Result<Answered, RegistryError>> {
        let executing =
            async move { self.numbers.execute(|number| self.propose(number, operation.clone())).await };
        Box::pin(self.within_time(executing))
    }

    fn range(
        &self,
        range: KeyRange,
        limit: u64,
        consistency: Consistency,
    ) -> BoxFuture<'_, Result<(RangeAnswer, u64), RegistryError>> {
        Box::pin(async move {
            if consistency == Consistency::Linearizable {
                self.wait_readable().await?;
            }
            self.check_running()?;
            let store = self.shared.store();
            Ok((store.range(&range, limit), store.revision()))
        })
    }

    fn watch(&self, range: KeyRange, from_revision: u64) -> BoxFuture<'_, Result<Watch, RegistryError>> {
        let begun = self.check_running();
        let watch = begun.map(|()| StoreSource::watch(self.shared.clone(), range, from_revision));
        Box::pin(std::future::ready(watch))
    }
}

/// A place among those who wait. Dropped before it is told anything, it is given up.
struct Waits<'a> {
    registry: &'a LocalRegistry,
    request: RequestId,
    is_over: bool,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.registry.shared.waiting().forget(self.request);
    }
}
