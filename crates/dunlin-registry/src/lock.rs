//! Locks and elections, on leases.
//!
//! Whoever wants a lock puts a key of its own under its name, with a lease that it keeps alive, and has the lock when no key there is older
//! than its own; until then it waits for the one before it to go. So who came first goes first, and a holder that dies is gone after its
//! lease's time.
//!
//! **What a lock does not promise.** No two have it at a time as far as the registry can tell, but a holder that was stopped for longer than
//! its lease's time goes on for a moment as if it had it still: no lock over a network can keep it from that. What must not be done
//! by two, such as writing to a disk that both see, has to look at the [`token`](Held::token): each holder's is greater than
//! those of all before it, so whoever takes writes refuses one that is less than the greatest it has seen.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::RegistryError;
use crate::registry::{Consistency, Registry, RegistryExt as _};
use crate::store::{EventKind, KeyRange, StoreError};

/// A lock, or an office to be elected to, by its name.
#[derive(Debug, Clone)]
pub struct Lock {
    registry: Arc<dyn Registry>,
    name: String,
    ttl: Duration,
}

/// A lock that is held. Dropped, it is given up; after its lease's time at the latest, if the registry is not reached.
#[derive(Debug)]
pub struct Held {
    registry: Arc<dyn Registry>,
    lease: u64,
    token: u64,
    lost: watch::Receiver<bool>,
    _alive: DropGuard,
}

impl Lock {
    /// The lock of this name, for holders that are gone after `ttl` without a sign of life.
    #[must_use]
    pub fn new(registry: impl Registry, name: impl Into<String>, ttl: Duration) -> Self {
        let registry = Arc::new(registry);
        Self { registry, name: name.into(), ttl }
    }

    /// Waits until the lock is ours.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] of the first request that failed; nobody waits for us then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the place in the queue up, after the lease's time at the latest.
    pub async fn acquire(&self) -> Result<Held, RegistryError> {
        self.campaign(Bytes::new()).await
    }

    /// Waits until we are elected; `said` is what others read of us then.
    ///
    /// # Errors
    ///
    /// As of [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As of [`acquire`](Self::acquire).
    pub async fn campaign(&self, said: impl Into<Bytes>) -> Result<Held, RegistryError> {
        let lease = self.registry.grant_lease(self.ttl).await?;
        let (alive, lost) = (CancellationToken::new(), watch::Sender::new(false));
        let held = Held {
            registry: self.registry.clone(),
            lease,
            token: 0,
            lost: lost.subscribe(),
            _alive: alive.clone().drop_guard(),
        };
        tokio::spawn(keep(self.registry.clone(), (lease, self.ttl), lost, alive));
        let key = format!("{}{lease:016x}", self.prefix());
        let token = self.registry.put(key, said, lease).await?;
        self.wait_for_turn(token).await?;
        Ok(Held { token, ..held })
    }

    /// What whoever holds it said of itself, if anybody does.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the read.
    pub async fn holder(&self) -> Result<Option<Bytes>, RegistryError> {
        let (waiting, _) = self.registry.range(self.range(), 0, Consistency::Linearizable).await?;
        let first = waiting.entries.into_iter().min_by_key(|entry| entry.create_revision);
        Ok(first.map(|entry| entry.value))
    }

    fn prefix(&self) -> String {
        format!("{}/", self.name)
    }

    fn range(&self) -> KeyRange {
        KeyRange::prefix(self.prefix())
    }

    /// Waits until nobody is left who came before the one with this token.
    async fn wait_for_turn(&self, token: u64) -> Result<(), RegistryError> {
        loop {
            let (waiting, revision) = self.registry.range(self.range(), 0, Consistency::Linearizable).await?;
            let before = waiting.entries.into_iter().filter(|entry| entry.create_revision < token);
            let Some(last) = before.max_by_key(|entry| entry.create_revision) else { return Ok(()) };
            // The one right before us: when the first goes, only the second wakes up.
            let mut watch = self.registry.watch(KeyRange::key(last.key), revision + 1).await?;
            while watch.next().await?.kind != EventKind::Delete {}
        }
    }
}

impl Held {
    /// A number that is greater than those of all who held it before.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.token
    }

    /// Whether it is lost as far as is known here: its lease was not kept alive in time. It may be lost a moment before this says so.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Waits until it is lost.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but the wait.
    pub async fn lost(&self) {
        // Its task ends by saying so, or when this is dropped.
        self.lost.clone().wait_for(|is_lost| *is_lost).await.ok();
    }

    /// Gives it up, and says whether that was heard. Dropping it does the same without waiting.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]; that the lease is unknown when it was lost already.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives it up without waiting.
    pub async fn release(self) -> Result<(), RegistryError> {
        self.registry.revoke_lease(self.lease).await
    }
}

/// Keeps a lease alive until nobody wants it any more, and ends it then; or says that it is lost.
async fn keep(
    registry: Arc<dyn Registry>,
    (lease, ttl): (u64, Duration),
    lost: watch::Sender<bool>,
    alive: CancellationToken,
) {
    let mut renewed_at = Instant::now();
    loop {
        let next = renewed_at + ttl / 3;
        if alive.run_until_cancelled(sleep_until(next.max(Instant::now() + ttl / 10))).await.is_none() {
            // It was granted for so long, and nobody knows of it any more.
            registry.revoke_lease(lease).await.ok();
            return;
        }
        let asked_at = Instant::now();
        match timeout_at(renewed_at + ttl, registry.keep_alive(lease)).await {
            // Its time runs from before it was asked for: the leader's clock began no earlier.
            Ok(Ok(())) => renewed_at = asked_at,
            Ok(Err(RegistryError::Store(StoreError::LeaseUnknown { .. }) | RegistryError::Stopped)) => break,
            Ok(Err(_)) if Instant::now() < renewed_at + ttl => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    lost.send_replace(true);
}
