//! A node's own record: announced under a lease, kept alive, changed and withdrawn.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::table::key_of;
use super::{NUMBERS, NodeRecord};
use crate::error::RegistryError;
use crate::limits::NODE_NUMBERS_MAX;
use crate::registry::{Consistency, Registry, RegistryExt as _};
use crate::store::{Compare, Compared, KeyRange, Put, Relation, StoreError, Txn, TxnStep};

/// Why a node is not announced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnounceError {
    /// The registry does not do it.
    #[error("the registry does not take the node's record")]
    Registry(#[from] RegistryError),
    /// There are as many nodes as there may be.
    #[error("all {NODE_NUMBERS_MAX} numbers of nodes are taken")]
    TooManyNodes,
}

/// A node that is announced, for as long as this is there: dropped, its lease runs out.
#[derive(Debug)]
pub struct Announced {
    announcer: Arc<Announcer>,
    told: watch::Receiver<NodeRecord>,
    _alive: DropGuard,
}

#[derive(Debug)]
struct Announcer {
    registry: Arc<dyn Registry>,
    ttl: Duration,
    /// The record and its lease. Whoever writes them to the registry holds the lock, so that what was said last is what stands.
    said: Mutex<(NodeRecord, u64)>,
    tell: watch::Sender<NodeRecord>,
}

impl Announced {
    /// Announces a node whose record goes when nobody kept it alive for `ttl`. It is kept alive from now on; if it goes all the same,
    /// since the registry was not reached for so long, it is announced again as soon as it is.
    ///
    /// # Errors
    ///
    /// [`AnnounceError`] of the first try.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave a record for `ttl`.
    pub async fn announce(
        registry: impl Registry,
        record: NodeRecord,
        ttl: Duration,
    ) -> Result<Self, AnnounceError> {
        let (tell, told) = watch::channel(record.clone());
        let registry: Arc<dyn Registry> = Arc::new(registry);
        let announcer = Arc::new(Announcer { registry, ttl, said: Mutex::new((record, 0)), tell });
        announcer.announce().await?;
        let alive = CancellationToken::new();
        let keeping = announcer.clone().keep();
        tokio::spawn(alive.clone().run_until_cancelled_owned(keeping));
        Ok(Self { announcer, told, _alive: alive.drop_guard() })
    }

    /// The record as it was announced last. Its number may change when it had to be announced again.
    #[must_use]
    pub fn record(&self) -> NodeRecord {
        self.told.borrow().clone()
    }

    /// The record, and whenever it was announced anew.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<NodeRecord> {
        self.told.clone()
    }

    /// Changes the record, in the registry too. When that fails the change stands here, and is told as soon as it can be.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] when it is not told yet.
    ///
    /// # Cancel safety
    ///
    /// As when it fails.
    pub async fn change(&self, change: impl FnOnce(&mut NodeRecord)) -> Result<(), RegistryError> {
        let mut said = self.announcer.said.lock().await;
        change(&mut said.0);
        self.announcer.put(&said.0, said.1).await
    }

    /// Takes the record away, so that nobody has to wait for the end of its lease.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]; the record goes with its lease then.
    ///
    /// # Cancel safety
    ///
    /// As when it fails.
    pub async fn withdraw(self) -> Result<(), RegistryError> {
        let Self { announcer, _alive, .. } = self;
        drop(_alive);
        let lease = announcer.said.lock().await.1;
        announcer.registry.revoke_lease(lease).await
    }
}

impl Announcer {
    async fn announce(&self) -> Result<(), AnnounceError> {
        let mut said = self.said.lock().await;
        let lease = self.registry.grant_lease(self.ttl).await?;
        let number = self.take_number(lease, said.0.number).await?;
        said.0.number = number;
        said.1 = lease;
        self.put(&said.0, lease).await?;
        Ok(())
    }

    async fn put(&self, record: &NodeRecord, lease: u64) -> Result<(), RegistryError> {
        self.registry.put(key_of(record.id), record.encode_to_vec(), lease).await?;
        self.tell.send_replace(record.clone());
        Ok(())
    }

    /// Takes a number that nobody has, the one it had before if it is free.
    async fn take_number(&self, lease: u64, before: u32) -> Result<u32, AnnounceError> {
        loop {
            let (answer, _) =
                self.registry.range(KeyRange::prefix(NUMBERS), 0, Consistency::Linearizable).await?;
            let is_taken = |number: &u32| {
                let key = number_key(*number);
                answer.entries.iter().any(|entry| entry.key == key.as_bytes())
            };
            let mut numbers = std::iter::once(before).chain(0..NODE_NUMBERS_MAX);
            let free = numbers.find(|number| !is_taken(number)).ok_or(AnnounceError::TooManyNodes)?;
            let key = number_key(free);
            let absent = Compare {
                key: key.clone().into(),
                relation: Relation::Equal.into(),
                compared: Some(Compared::CreateRevision(0)),
            };
            let take = TxnStep::Put(Put { key: key.into(), value: Vec::new().into(), lease });
            let txn = Txn { compares: vec![absent], then: vec![take.into()], otherwise: Vec::new() };
            // Somebody else may have taken it since.
            if self.registry.txn(txn).await?.has_held {
                return Ok(free);
            }
        }
    }

    async fn keep(self: Arc<Self>) {
        loop {
            sleep(self.ttl / 3).await;
            // Whoever changes the record may be announcing it anew.
            let (said, lease) = self.said.lock().await.clone();
            let kept = self.registry.keep_alive(lease).await;
            let result = match kept {
                // What could not be told when it was changed is told now.
                Ok(()) if *self.tell.borrow() != said => self.put(&said, lease).await.map_err(Into::into),
                Ok(()) => Ok(()),
                Err(RegistryError::Store(StoreError::LeaseUnknown { .. })) => {
                    tracing::warn!(node = %said.name, "the node's record was gone from the registry; it is announced again");
                    self.announce().await
                }
                Err(error) => Err(error.into()),
            };
            if let Err(error) = result {
                let error = crate::error::chain(&error);
                tracing::warn!(node = %said.name, error, "the node's record could not be kept alive; it is tried again");
            }
        }
    }
}

fn number_key(number: u32) -> String {
    format!("{NUMBERS}{number:04}")
}
