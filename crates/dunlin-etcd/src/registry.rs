//! The registry over an etcd cluster: what programs use.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_registry::limits::COMMAND_LEN_MAX;
use dunlin_registry::store::{
    Answer, Answered, KeyRange, LeaseGrant, LeaseRevoke, Operation, Put, RangeAnswer, StoreError, Txn,
    TxnStep,
};
use dunlin_registry::{Consistency, Registry, RegistryError, Watch};
use futures_util::future::BoxFuture;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use crate::client::Etcd;
use crate::cluster::{Cluster, Manner};
use crate::error::EtcdError;
use crate::fate::Asked;
use crate::limits::{CONNECT_TIMEOUT, PROBE_INTERVAL, PROBE_TIMEOUT, RANGE_STEPS, REQUEST_TIMEOUT};
use crate::messages::{AuthenticateRequest, LeaseGrantRequest, LeaseRequest};
use crate::translate::{Names, revision, signed, ttl_s, unsigned, within};
use crate::watch::EtcdSource;

/// Where our keys are unless that is said.
const PREFIX: &str = "/dunlin/";

/// A cluster of etcd as a registry. Clones are the same client.
///
/// A request goes to one member; when that has no leader, too much to do, or is gone, to the next one, for as long as the request has time.
/// etcd does not number commands: one whose outcome is not known is not sent again, and the caller hears
/// [`RegistryError::TimedOut`] at once. Its keys are under a prefix, so that a cluster that others use can be shared.
#[derive(Debug, Clone)]
pub struct EtcdRegistry {
    cluster: Arc<Cluster>,
    endpoints: Vec<Endpoint>,
    user: Option<AuthenticateRequest>,
    names: Names,
    timeout: Duration,
}

impl EtcdRegistry {
    /// A client of members at these URLs, `http://host:port`. Nobody is asked yet.
    ///
    /// # Errors
    ///
    /// [`EtcdError::Url`] and [`EtcdError::Nobody`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, EtcdError> {
        let endpoint = |url: &str| {
            let endpoint = Endpoint::from_shared(url.to_owned())
                .map_err(|source| EtcdError::Url { url: url.to_owned(), source })?;
            let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true);
            let endpoint = endpoint.http2_keep_alive_interval(PROBE_INTERVAL);
            Ok(endpoint.keep_alive_timeout(PROBE_TIMEOUT).keep_alive_while_idle(true))
        };
        let endpoints: Vec<Endpoint> = urls.into_iter().map(endpoint).collect::<Result<_, EtcdError>>()?;
        if endpoints.is_empty() {
            return Err(EtcdError::Nobody);
        }
        let names = Names::under(PREFIX.into()).ok_or(EtcdError::PrefixEmpty)?;
        let cluster = Arc::new(Cluster::of(&endpoints, None));
        Ok(Self { cluster, endpoints, user: None, names, timeout: REQUEST_TIMEOUT })
    }

    /// The same with another time for each request.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with its keys under another prefix than `/dunlin/`.
    ///
    /// # Errors
    ///
    /// [`EtcdError::PrefixEmpty`].
    pub fn with_prefix(mut self, prefix: impl Into<Bytes>) -> Result<Self, EtcdError> {
        self.names = Names::under(prefix.into()).ok_or(EtcdError::PrefixEmpty)?;
        Ok(self)
    }

    /// The same as this user of the cluster, on connections of its own. The user needs leave to read and write all keys of the prefix.
    #[must_use]
    pub fn with_user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = Some(AuthenticateRequest { name: name.into(), password: password.into() });
        self.connected_anew()
    }

    /// The same over TLS, on connections of its own; URLs are `https://host:port` then.
    ///
    /// # Errors
    ///
    /// [`EtcdError::Tls`].
    #[cfg(feature = "tls")]
    pub fn with_tls(mut self, config: &tonic::transport::ClientTlsConfig) -> Result<Self, EtcdError> {
        let secure = |endpoint: Endpoint| endpoint.tls_config(config.clone());
        let endpoints = self.endpoints.into_iter().map(secure).collect::<Result<_, _>>();
        self.endpoints = endpoints.map_err(|source| EtcdError::Tls { source })?;
        Ok(self.connected_anew())
    }

    fn connected_anew(mut self) -> Self {
        self.cluster = Arc::new(Cluster::of(&self.endpoints, self.user.clone()));
        self
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) const fn names(&self) -> &Names {
        &self.names
    }

    /// A read, which may be asked for again and again.
    pub(crate) fn reading(&self, needs_leader: bool) -> Manner {
        Manner { timeout: self.timeout, is_repeatable: true, needs_leader, asked: Asked::default() }
    }

    /// A command, which is done at most once.
    const fn commanding(&self, asked: Asked) -> Manner {
        Manner { timeout: self.timeout, is_repeatable: false, needs_leader: true, asked }
    }

    async fn execute_once(&self, operation: Operation) -> Result<Answered, RegistryError> {
        operation.check()?;
        let len = operation.encoded_len();
        if len > COMMAND_LEN_MAX {
            return Err(RegistryError::TooLarge { len, len_max: COMMAND_LEN_MAX });
        }
        match operation {
            Operation::Put(put) => self.put(&put, len).await,
            Operation::Delete(range) => self.delete(&range, len).await,
            Operation::Txn(txn) => self.transact(&txn, len).await,
            Operation::LeaseGrant(grant) => self.grant(grant).await,
            Operation::LeaseRevoke(revoke) => self.revoke(revoke).await,
            Operation::LeaseKeepAlive(lease) => self.keep_alive(lease).await,
        }
    }

    async fn put(&self, put: &Put, len: usize) -> Result<Answered, RegistryError> {
        let request = self.names.put(put);
        let manner = self.commanding(Asked { lease: put.lease, len, ..Asked::default() });
        let put = |mut member: Etcd| {
            let request = request.clone();
            async move { member.put(request).await }
        };
        let done = self.cluster.ask(manner, put).await?;
        answered(revision(done.header), Answer::Put(done.prev_kv.is_some()))
    }

    async fn delete(&self, range: &KeyRange, len: usize) -> Result<Answered, RegistryError> {
        let request = self.names.delete(range);
        let delete = |mut member: Etcd| {
            let request = request.clone();
            async move { member.delete_range(request).await }
        };
        let done = self.cluster.ask(self.commanding(Asked { len, ..Asked::default() }), delete).await?;
        answered(revision(done.header), Answer::Deleted(unsigned(done.deleted)))
    }

    async fn transact(&self, txn: &Txn, len: usize) -> Result<Answered, RegistryError> {
        let request = self.names.txn(txn);
        let operations = txn.compares.len().max(txn.then.len()).max(txn.otherwise.len());
        // etcd does not say which lease it does not know: with several, it is the first that is named.
        let manner = self.commanding(Asked { lease: first_lease(txn), operations, len });
        let transact = |mut member: Etcd| {
            let request = request.clone();
            async move { member.txn(request).await }
        };
        let done = self.cluster.ask(manner, transact).await?;
        answered(revision(done.header), Answer::Txn(self.names.txn_answer(txn, done)?))
    }

    async fn grant(&self, grant: LeaseGrant) -> Result<Answered, RegistryError> {
        let LeaseGrant { lease, ttl_ms } = grant;
        let Ok(id) = i64::try_from(lease) else {
            return Err(RegistryError::Refused { reason: "etcd has no such id for a lease".into() });
        };
        let request = LeaseGrantRequest { ttl: ttl_s(ttl_ms), id };
        let manner = self.commanding(Asked { lease, ..Asked::default() });
        let grant = |mut member: Etcd| async move { member.lease_grant(request).await };
        let done = self.cluster.ask(manner, grant).await?;
        answered(revision(done.header), Answer::Lease(unsigned(done.id)))
    }

    async fn revoke(&self, revoke: LeaseRevoke) -> Result<Answered, RegistryError> {
        let LeaseRevoke { lease, if_renewed_at } = revoke;
        if if_renewed_at.is_some() {
            let reason = "etcd does not say when a lease was kept alive last".into();
            return Err(RegistryError::Refused { reason });
        }
        let request = LeaseRequest { id: signed(lease) };
        let manner = self.commanding(Asked { lease, ..Asked::default() });
        let revoke = |mut member: Etcd| async move { member.lease_revoke(request).await };
        let done = self.cluster.ask(manner, revoke).await?;
        answered(revision(done.header), Answer::Lease(lease))
    }

    /// Twice is the same as once a little later, so this is asked for until it is done.
    async fn keep_alive(&self, lease: u64) -> Result<Answered, RegistryError> {
        let request = LeaseRequest { id: signed(lease) };
        let keep = |mut member: Etcd| async move { member.lease_keep_alive(request).await };
        let manner = Manner { is_repeatable: true, ..self.commanding(Asked { lease, ..Asked::default() }) };
        let done = self.cluster.ask(manner, keep).await?;
        if done.ttl <= 0 {
            return Err(StoreError::LeaseUnknown { lease }.into());
        }
        answered(revision(done.header), Answer::Lease(lease))
    }

    /// How full the store is that is full, as far as a member says.
    async fn full(&self) -> StoreError {
        let status = |mut member: Etcd| async move { member.status().await };
        let said = self.cluster.ask(self.reading(false), status).await.unwrap_or_default();
        let len = |len: i64| usize::try_from(len).unwrap_or_default();
        StoreError::Full { len: len(said.db_size), len_max: len(said.db_size_quota) }
    }

    async fn read(
        &self,
        range: &KeyRange,
        limit: u64,
        is_stale: bool,
    ) -> Result<(RangeAnswer, u64), RegistryError> {
        let mut steps = RANGE_STEPS.into_iter().map(|step| step.min(within(limit))).peekable();
        while let Some(limit) = steps.next() {
            let request = self.names.read(range, limit, is_stale);
            let is_last = steps.peek().is_none();
            let read = |mut member: Etcd| {
                let request = request.clone();
                async move {
                    match member.range(request).await {
                        Ok(read) => Ok(Some(read)),
                        Err(status) if is_too_long(&status) && !is_last => Ok(None),
                        Err(status) => Err(status),
                    }
                }
            };
            if let Some(read) = self.cluster.ask(self.reading(!is_stale), read).await? {
                let revision = revision(read.header);
                return Ok((self.names.range_answer(read)?, revision));
            }
        }
        Err(RegistryError::NoAnswer)
    }
}

impl Registry for EtcdRegistry {
    fn execute(&self, operation: Operation) -> BoxFuture<'_, Result<Answered, RegistryError>> {
        Box::pin(async move {
            match self.execute_once(operation).await {
                Err(RegistryError::Store(StoreError::Full { .. })) => Err(self.full().await.into()),
                done => done,
            }
        })
    }

    fn range(
        &self,
        range: KeyRange,
        limit: u64,
        consistency: Consistency,
    ) -> BoxFuture<'_, Result<(RangeAnswer, u64), RegistryError>> {
        Box::pin(async move { self.read(&range, limit, consistency == Consistency::Stale).await })
    }

    fn watch(&self, range: KeyRange, from_revision: u64) -> BoxFuture<'_, Result<Watch, RegistryError>> {
        Box::pin(EtcdSource::watch(self.clone(), range, from_revision))
    }
}

/// What came of a command. Every answer says the revision; one that does not is none.
fn answered(revision: u64, answer: Answer) -> Result<Answered, RegistryError> {
    if revision == 0 {
        return Err(RegistryError::NoAnswer);
    }
    Ok(Answered { revision, answer: Some(answer) })
}

/// Whether an answer was longer than we take. A read of now is never out of range otherwise.
fn is_too_long(status: &Status) -> bool {
    status.code() == Code::OutOfRange
}

/// The first lease that a put of a transaction names, 0 if none does.
fn first_lease(txn: &Txn) -> u64 {
    let operations = txn.then.iter().chain(&txn.otherwise);
    let mut leases = operations.filter_map(|operation| match &operation.step {
        Some(TxnStep::Put(put)) if put.lease != 0 => Some(put.lease),
        _ => None,
    });
    leases.next().unwrap_or_default()
}
