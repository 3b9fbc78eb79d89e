//! A registry of one process, in memory: the state machine without a log or a group, for tests and for servers that stand alone.
//!
//! Invariants: what one handle is told every clone of it knows at once; nothing of it is left when the process ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::{BoxFuture, ready};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::error::RegistryError;
use crate::lease_clock::LeaseClock;
use crate::registry::{Consistency, Registry};
use crate::store::{Answered, Command, KeyRange, LeaseRevoke, Operation, RangeAnswer, Store};
use crate::watch::{StoreSource, Watch, WatchedStore};

/// How often it is looked whether leases are over.
const LEASE_LOOK: Duration = Duration::from_millis(100);

/// A registry that is this process's alone. Clones are the same one.
///
/// Leases end by tokio's clock, in a task of the runtime it is made on.
#[derive(Debug, Clone)]
pub struct MemoryRegistry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Mutex<Store>,
    revision: watch::Sender<u64>,
}

impl Default for MemoryRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryRegistry {
    /// An empty one.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new() -> Self {
        let inner = Arc::new(Inner { store: Mutex::new(Store::new()), revision: watch::Sender::new(0) });
        tokio::spawn(expire(Arc::downgrade(&inner)));
        Self(inner)
    }
}

impl Inner {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn execute(&self, operation: Operation) -> Result<Answered, RegistryError> {
        let command = Command { operation: Some(operation), ..Command::default() };
        let mut store = self.store();
        let index = store.applied() + 1;
        let outcome = store.apply(index, &command);
        let revision = store.revision();
        drop(store);
        self.revision.send_if_modified(|known| std::mem::replace(known, revision) != revision);
        Ok(outcome?)
    }
}

/// Ends leases that are over, until nobody has the registry any more.
async fn expire(inner: Weak<Inner>) {
    let (mut clock, mut looks) = (LeaseClock::default(), interval(LEASE_LOOK));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        let over = clock.look(Instant::now().into_std(), inner.store().leases());
        for look in over {
            let revoke = LeaseRevoke { lease: look.lease, if_renewed_at: Some(look.renewed_at) };
            // One that was kept alive or ended meanwhile is none of ours.
            inner.execute(Operation::LeaseRevoke(revoke)).ok();
        }
    }
}

impl Registry for MemoryRegistry {
    fn execute(&self, operation: Operation) -> BoxFuture<'_, Result<Answered, RegistryError>> {
        Box::pin(ready(self.0.execute(operation)))
    }

    fn range(
        &self,
        range: KeyRange,
        limit: u64,
        _consistency: Consistency,
    ) -> BoxFuture<'_, Result<(RangeAnswer, u64), RegistryError>> {
        let store = self.0.store();
        Box::pin(ready(Ok((store.range(&range, limit), store.revision()))))
    }

    fn watch(&self, range: KeyRange, from_revision: u64) -> BoxFuture<'_, Result<Watch, RegistryError>> {
        Box::pin(ready(Ok(StoreSource::watch(self.0.clone(), range, from_revision))))
    }
}

impl WatchedStore for Inner {
    fn with_store<R>(&self, look: impl FnOnce(&Store) -> R) -> R {
        look(&self.store())
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    async fn stopped(&self) {
        // It is there for as long as anybody has it, as a watch does.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::RegistryExt as _;
    use crate::store::EventKind;

    #[tokio::test(start_paused = true)]
    async fn keys_go_with_their_lease_and_a_watch_hears_of_it() {
        let registry = MemoryRegistry::new();
        let lease = registry.grant_lease(Duration::from_secs(2)).await.unwrap();
        let mut watch = registry.watch(KeyRange::all(), 0).await.unwrap();
        registry.put("key", "value", lease).await.unwrap();
        assert_eq!(watch.next().await.unwrap().kind, EventKind::Put);
        let begin = Instant::now();
        tokio::time::sleep(Duration::from_secs(1)).await;
        registry.keep_alive(lease).await.unwrap();
        assert_eq!(watch.next().await.unwrap().kind, EventKind::Delete);
        assert!(begin.elapsed() >= Duration::from_millis(2_900), "{:?}", begin.elapsed());
    }
}
