//! The copy of all nodes' records that a node keeps.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{NodeTable, RECORDS};
use crate::error::{RegistryError, chain};
use crate::registry::{Consistency, Registry};
use crate::store::KeyRange;

/// How long a watch that broke off waits before it begins anew.
const PAUSE: Duration = Duration::from_millis(200);

/// All nodes, as far as is known here. When the registry is not reached, what was known last stands.
#[derive(Debug)]
pub struct Nodes {
    table: watch::Receiver<Arc<NodeTable>>,
    _alive: DropGuard,
}

impl Nodes {
    /// Reads all records, and watches them from then on.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] when they cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the read.
    pub async fn watch(registry: impl Registry) -> Result<Self, RegistryError> {
        let (tell, table) = watch::channel(Arc::default());
        let next = read(&registry, Consistency::Linearizable, &tell).await?;
        let alive = CancellationToken::new();
        tokio::spawn(alive.clone().run_until_cancelled_owned(follow(registry, next, tell)));
        Ok(Self { table, _alive: alive.drop_guard() })
    }

    /// The nodes there are now.
    #[must_use]
    pub fn table(&self) -> Arc<NodeTable> {
        self.table.borrow().clone()
    }

    /// The nodes there are, and whenever that changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<NodeTable>> {
        self.table.clone()
    }
}

/// Reads all records. The revision to watch from.
async fn read(
    registry: &impl Registry,
    consistency: Consistency,
    tell: &watch::Sender<Arc<NodeTable>>,
) -> Result<u64, RegistryError> {
    let (answer, revision) = registry.range(KeyRange::prefix(RECORDS), 0, consistency).await?;
    tell.send_replace(Arc::new(NodeTable::of(&answer.entries)));
    Ok(revision + 1)
}

async fn follow(registry: impl Registry, mut next: u64, tell: watch::Sender<Arc<NodeTable>>) {
    loop {
        let Err(error) = events(&registry, &mut next, &tell).await else { return };
        if matches!(error, RegistryError::Stopped) {
            return;
        }
        tracing::debug!(error = chain(&error), "the watch of the nodes broke off");
        sleep(PAUSE).await;
        // What comes back may be compacted, or begin anew from an older state: its revisions say nothing of ours then. Whoever has no quorum
        // now is watched on as it was.
        match read(&registry, Consistency::Linearizable, &tell).await {
            Ok(fresh) => next = fresh,
            Err(error) => tracing::debug!(error = chain(&error), "the nodes could not be read anew"),
        }
    }
}

/// Follows the records until the watch breaks off. `Ok`: nobody listens any more.
async fn events(
    registry: &impl Registry,
    next: &mut u64,
    tell: &watch::Sender<Arc<NodeTable>>,
) -> Result<(), RegistryError> {
    let mut watch = registry.watch(KeyRange::prefix(RECORDS), *next).await?;
    while !tell.is_closed() {
        let first = watch.next().await?;
        let more: Vec<_> = watch.take_ready().collect();
        *next = watch.resume_revision();
        tell.send_modify(|table| {
            let table = Arc::make_mut(table);
            std::iter::once(&first).chain(&more).for_each(|event| table.handle_event(event));
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Announced, NodeRecord, NodeState};
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::memory::MemoryRegistry;
    use crate::registry::RegistryExt as _;
    use crate::store::{Answered, Event, Operation, RangeAnswer};

    const TTL: Duration = Duration::from_secs(3);

    fn record(id: u64) -> NodeRecord {
        NodeRecord { id, name: format!("node-{id}"), state: NodeState::Up.into(), ..NodeRecord::default() }
    }

    async fn until(nodes: &Nodes, is_it: impl Fn(&NodeTable) -> bool) {
        let mut table = nodes.subscribe();
        let waiting = table.wait_for(|table| is_it(table));
        tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_is_listed_while_it_is_kept_alive_and_not_longer_than_its_lease_after() {
        let registry = MemoryRegistry::new();
        let nodes = Nodes::watch(registry.clone()).await.unwrap();
        let one = Announced::announce(registry.clone(), record(1), TTL).await.unwrap();
        let two = Announced::announce(registry.clone(), record(2), TTL).await.unwrap();
        until(&nodes, |table| table.len() == 2).await;
        assert_ne!(one.record().number, two.record().number);
        sleep(TTL * 5).await;
        assert_eq!(nodes.table().len(), 2);
        drop(one);
        let dead = tokio::time::Instant::now();
        until(&nodes, |table| table.get(1).is_none()).await;
        assert!(dead.elapsed() <= TTL + Duration::from_millis(200), "{:?}", dead.elapsed());
        two.withdraw().await.unwrap();
        until(&nodes, NodeTable::is_empty).await;
        assert!(dead.elapsed() < TTL * 2);
    }

    /// A registry that is lost and takes the place of by an empty one.
    #[derive(Debug, Clone)]
    struct Replaced(watch::Sender<MemoryRegistry>);

    #[derive(Debug)]
    struct Broken(crate::Watch, watch::Receiver<MemoryRegistry>);

    impl crate::WatchSource for Broken {
        fn next_events(&mut self) -> BoxFuture<'_, Result<(Vec<Event>, u64), RegistryError>> {
            Box::pin(async {
                tokio::select! {
                    event = self.0.next() => Ok((vec![event?], self.0.resume_revision())),
                    _ = self.1.changed() => Err(RegistryError::NoLeader),
                }
            })
        }
    }

    impl Registry for Replaced {
        fn execute(&self, operation: Operation) -> BoxFuture<'_, Result<Answered, RegistryError>> {
            let registry = self.0.borrow().clone();
            Box::pin(async move { registry.execute(operation).await })
        }

        fn range(
            &self,
            range: KeyRange,
            limit: u64,
            consistency: Consistency,
        ) -> BoxFuture<'_, Result<(RangeAnswer, u64), RegistryError>> {
            let registry = self.0.borrow().clone();
            Box::pin(async move { registry.range(range, limit, consistency).await })
        }

        fn watch(&self, range: KeyRange, from: u64) -> BoxFuture<'_, Result<crate::Watch, RegistryError>> {
            let mut replaced = self.0.subscribe();
            let registry = replaced.borrow_and_update().clone();
            Box::pin(async move {
                let watch = registry.watch(range, from).await?;
                Ok(crate::Watch::new(Box::new(Broken(watch, replaced)), from))
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_begins_anew_from_nothing_is_followed_as_it_is_then() {
        let registry = Replaced(watch::Sender::new(MemoryRegistry::new()));
        let nodes = Nodes::watch(registry.clone()).await.unwrap();
        for _ in 0..50 {
            registry.put("busy", "", 0).await.unwrap();
        }
        let _one = Announced::announce(registry.clone(), record(1), TTL).await.unwrap();
        until(&nodes, |table| table.len() == 1).await;
        registry.0.send_replace(MemoryRegistry::new());
        let _two = Announced::announce(registry.clone(), record(2), TTL).await.unwrap();
        until(&nodes, |table| table.get(2).is_some()).await;
        until(&nodes, |table| table.get(1).is_some()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_a_record_reaches_everybody_and_a_lost_record_comes_back() {
        let registry = MemoryRegistry::new();
        let nodes = Nodes::watch(registry.clone()).await.unwrap();
        let one = Announced::announce(registry.clone(), record(1), TTL).await.unwrap();
        one.change(|record| record.set_state(NodeState::Draining)).await.unwrap();
        until(&nodes, |table| table.get(1).is_some_and(|node| node.state() == NodeState::Draining)).await;
        let (answer, _) = registry.range(KeyRange::prefix(RECORDS), 0, Consistency::Stale).await.unwrap();
        registry.revoke_lease(answer.entries[0].lease).await.unwrap();
        until(&nodes, NodeTable::is_empty).await;
        until(&nodes, |table| table.get(1).is_some_and(|node| node.state() == NodeState::Draining)).await;
    }
}
