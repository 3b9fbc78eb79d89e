//! How a node is asked to stop by way of the registry: a key that it watches, and that goes by itself.

use std::time::Duration;

use tokio::time::sleep;

use super::STOPS;
use crate::error::RegistryError;
use crate::registry::{Registry, RegistryExt as _};
use crate::store::{EventKind, KeyRange};

/// How long the key stays: a node that does not see it within that time is not there.
const STAYS: Duration = Duration::from_secs(60);

/// How long a watch that broke off waits before it begins anew.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks the node of this id to drain and stop, as a signal does.
///
/// # Errors
///
/// [`RegistryError`].
///
/// # Cancel safety
///
/// Dropping the future leaves the question to its fate: it may be asked.
pub async fn ask_to_stop(registry: &impl Registry, id: u64) -> Result<(), RegistryError> {
    let lease = registry.grant_lease(STAYS).await?;
    registry.put(key_of(id), Vec::new(), lease).await.map(drop)
}

/// Waits until the node of this id is asked to stop.
///
/// # Cancel safety
///
/// Nothing is lost but the wait.
pub async fn stop_asked(registry: &impl Registry, id: u64) {
    // Nobody asks before the node is announced, and what is asked while the watch is broken off is read.
    let mut from = 0;
    loop {
        if let Ok(mut watch) = registry.watch(KeyRange::key(key_of(id)), from).await {
            while let Ok(event) = watch.next().await {
                if event.kind == EventKind::Put {
                    return;
                }
            }
            from = watch.resume_revision();
        }
        sleep(PAUSE).await;
    }
}

fn key_of(id: u64) -> String {
    format!("{STOPS}{id:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryRegistry;

    #[tokio::test(start_paused = true)]
    async fn the_node_that_is_meant_hears_of_it_and_no_other() {
        let registry = MemoryRegistry::new();
        let (one, two) = (registry.clone(), registry.clone());
        let one = tokio::spawn(async move { stop_asked(&one, 1).await });
        let two = tokio::spawn(async move { stop_asked(&two, 2).await });
        sleep(Duration::from_millis(10)).await;
        ask_to_stop(&registry, 2).await.unwrap();
        two.await.unwrap();
        assert!(!one.is_finished());
    }
}
