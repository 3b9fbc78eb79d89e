//! The registry as a member has it: what programs use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dunlin_rafthttp::raftpb::{ConfChangeType, EntryType};
use prost::Message as _;
use tokio::time::timeout;

use crate::driver::{Proposal, RequestId, member_change};
use crate::error::RegistryError;
use crate::limits::{COMMAND_LEN_MAX, REQUEST_TIMEOUT};
use crate::node::{Done, Input, Shared, State};
use crate::store::{
    Answer, Answered, Command, KeyRange, KeyValue, LeaseGrant, LeaseRevoke, Member, Operation, Put,
    RangeAnswer, StoreError, Txn, TxnAnswer,
};
use crate::watch::Watch;

/// How fresh what is read has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Consistency {
    /// Everything that was answered anywhere before the read began. It takes a round to a quorum, which reads share.
    #[default]
    Linearizable,
    /// What this member has, which may be old. It takes nothing, and works without a leader.
    Stale,
}

/// A handle on the registry. A clone is another one, with numbers of its own for its commands.
///
/// Every request has a time after which it is given up; see [`with_timeout`](Self::with_timeout). A command that timed out may be done
/// all the same, once: it is proposed again with the same number while there is time.
#[derive(Debug)]
pub struct Registry {
    shared: Arc<Shared>,
    requests: Arc<AtomicU64>,
    client: tokio::sync::Mutex<Client>,
    timeout: Duration,
}

/// Who numbers its commands. One is on its way at a time.
#[derive(Debug, Clone, Copy)]
struct Client {
    id: u64,
    sequence: u64,
}

impl Client {
    fn new() -> Self {
        Self { id: fastrand::u64(1..), sequence: 0 }
    }
}

/// The turn of one command. When it is not known what came of it, the commands after it are somebody else's: with the next number
/// they would be refused if this one is never done, and with the same one mistaken for it if it is.
struct Turn<'a> {
    client: tokio::sync::MutexGuard<'a, Client>,
    is_known: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_known {
            *self.client = Client::new();
        }
    }
}

impl Clone for Registry {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            requests: self.requests.clone(),
            client: tokio::sync::Mutex::new(Client::new()),
            timeout: self.timeout,
        }
    }
}

impl Registry {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        // Numbers of requests are in the log, where those of other members and of lives before are too.
        let requests = Arc::new(AtomicU64::new(fastrand::u64(..) >> 1));
        let client = tokio::sync::Mutex::new(Client::new());
        Self { shared, requests, client, timeout: REQUEST_TIMEOUT }
    }

    /// The same with another time for each request.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets a key, under a lease unless that is 0. The revision after it.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the command to its fate: it may be done.
    pub async fn put(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        lease: u64,
    ) -> Result<u64, RegistryError> {
        let put = Put { key: key.into(), value: value.into(), lease };
        Ok(self.execute(Operation::Put(put)).await?.revision)
    }

    /// Removes keys. How many there were.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    pub async fn delete(&self, range: KeyRange) -> Result<u64, RegistryError> {
        match self.execute(Operation::Delete(range)).await?.answer {
            Some(Answer::Deleted(count)) => Ok(count),
            _ => Ok(0),
        }
    }

    /// Compares, and does one thing or the other.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    pub async fn txn(&self, txn: Txn) -> Result<TxnAnswer, RegistryError> {
        match self.execute(Operation::Txn(txn)).await?.answer {
            Some(Answer::Txn(answer)) => Ok(answer),
            _ => Ok(TxnAnswer::default()),
        }
    }

    /// Grants a lease of this time. Its id.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put): a lease that nobody knows of is over after its time.
    pub async fn grant_lease(&self, ttl: Duration) -> Result<u64, RegistryError> {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        match self.execute(Operation::LeaseGrant(LeaseGrant { lease: 0, ttl_ms })).await?.answer {
            Some(Answer::Lease(lease)) => Ok(lease),
            _ => Ok(0),
        }
    }

    /// Lets a lease live for its time from now on.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]; that it is unknown when it was over already.
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    pub async fn keep_alive(&self, lease: u64) -> Result<(), RegistryError> {
        self.execute(Operation::LeaseKeepAlive(lease)).await.map(drop)
    }

    /// Ends a lease, and removes its keys.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    pub async fn revoke_lease(&self, lease: u64) -> Result<(), RegistryError> {
        let revoke = LeaseRevoke { lease, if_renewed_at: None };
        self.execute(Operation::LeaseRevoke(revoke)).await.map(drop)
    }

    /// Does something, once however often it has to be proposed. Commands of one handle are done one after another.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    pub async fn execute(&self, operation: Operation) -> Result<Answered, RegistryError> {
        let executing = async {
            match self.execute_in_turn(operation.clone()).await {
                // Had it been done, that would have been the answer.
                Err(RegistryError::Store(StoreError::ClientForgotten { .. })) => {
                    self.execute_in_turn(operation).await
                }
                done => done,
            }
        };
        self.within_time(executing).await
    }

    async fn execute_in_turn(&self, operation: Operation) -> Result<Answered, RegistryError> {
        let mut turn = Turn { client: self.client.lock().await, is_known: false };
        let Client { id, sequence } = *turn.client;
        let done = self.propose((id, sequence + 1), operation).await;
        match &done {
            // Others have asked so much since that the store no longer knows us: somebody new may.
            Err(RegistryError::Store(StoreError::ClientForgotten { .. })) => {}
            Ok(_) | Err(RegistryError::Store(_)) => {
                turn.client.sequence += 1;
                turn.is_known = true;
            }
            // It was not proposed, so its number was not used.
            Err(RegistryError::Overloaded | RegistryError::TooLarge { .. }) => turn.is_known = true,
            Err(_) => {}
        }
        done
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
    /// As of [`put`](Self::put); the same number finds out what came of it.
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

    /// The keys of a range, `limit` at most (0 for no limit), and the revision that they are of.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]; never of what is stale.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the read.
    pub async fn range(
        &self,
        range: &KeyRange,
        limit: u64,
        consistency: Consistency,
    ) -> Result<(RangeAnswer, u64), RegistryError> {
        if consistency == Consistency::Linearizable {
            self.wait_readable().await?;
        }
        let store = self.shared.store();
        Ok((store.range(range, limit), store.revision()))
    }

    /// One key.
    ///
    /// # Errors
    ///
    /// As of [`range`](Self::range).
    ///
    /// # Cancel safety
    ///
    /// As of [`range`](Self::range).
    pub async fn get(
        &self,
        key: impl Into<Bytes>,
        consistency: Consistency,
    ) -> Result<Option<KeyValue>, RegistryError> {
        let (answer, _) = self.range(&KeyRange::key(key), 1, consistency).await?;
        Ok(answer.entries.into_iter().next())
    }

    /// Waits until what this member has is as fresh as anything that was answered before.
    async fn wait_readable(&self) -> Result<(), RegistryError> {
        let request = self.next_request();
        self.within_time(self.ask_whether(request, Input::Read(request))).await
    }

    /// The events of these keys from a revision on, the next one that comes if it is 0.
    #[must_use]
    pub fn watch(&self, range: KeyRange, from_revision: u64) -> Watch {
        Watch::new(self.shared.clone(), range, from_revision)
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

    /// Adds a member that learns, and votes when it is promoted. To be asked of the leader.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the change to its fate: it may be done.
    pub async fn add_learner(&self, member: &Member) -> Result<(), RegistryError> {
        let context = member.encode_to_vec().into();
        self.change(ConfChangeType::AddLearnerNode, member.id, context).await
    }

    /// Adds a member that learns, and votes as soon as it has nearly all of the log. To be asked of the leader.
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

    /// Gives a learner a vote, once it has nearly all of the log. To be asked of the leader.
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

    /// Removes a member for ever. To be asked of the leader.
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

    /// Says anew what a member is called and where it is. To be asked of the leader.
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
        let request = self.next_request();
        let (change, proposal) = member_change(request, change_type, id, context);
        self.within_time(self.ask_whether(request, Input::Change(request, change, proposal))).await
    }

    /// Asks the leader to hand over to a member. It may not, and says nothing then.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] when this member cannot be asked.
    pub fn transfer_leadership(&self, to: u64) -> Result<(), RegistryError> {
        self.tell(Input::Transfer(to))
    }

    fn next_request(&self) -> RequestId {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    async fn ask(&self, request: RequestId, input: Input) -> Result<Done, RegistryError> {
        let told = self.shared.waiting().insert(request);
        let _waits = Waits { registry: self, request };
        self.tell(input)?;
        told.await.map_err(|_| RegistryError::Stopped)
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

/// A place among those who wait. Dropped before it is told anything, it is given up.
struct Waits<'a> {
    registry: &'a Registry,
    request: RequestId,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.registry.shared.waiting().forget(self.request);
    }
}
