//! What can be seen of a running node by whoever watches over it.

use std::sync::Arc;
use std::time::Duration;

use dunlin_cluster::Cluster as Links;
use dunlin_registry::nodes::NodeRecord;
use dunlin_registry::{LocalRegistry, Registry};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::Node;

/// How long an echo is waited for at most, whatever is asked for.
const ECHO_TIME_MAX: Duration = Duration::from_secs(60);

/// A link to another node that has services, as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LinkState {
    /// The other node's id.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// Whether the link is there.
    pub is_up: bool,
    /// How many links to it there were.
    pub links: u64,
    /// Calls that wait for its answers.
    pub in_flight: usize,
    /// How long the way there and back took last.
    pub round_trip: Option<Duration>,
}

/// Why a node is not ready for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// It stops, or has stopped.
    #[error("the node is stopping")]
    Stopping,
    /// A shard takes no turn: a handler blocks its thread, or the machine has no time for it.
    #[error("shard {shard} does not answer")]
    Deaf {
        /// Which of the shards.
        shard: usize,
    },
}

impl Node {
    /// Asks every shard to answer from the loop that serves clients.
    ///
    /// # Errors
    ///
    /// [`NotReady`], when one of them does not within `time`, or the node stops.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but the answer.
    pub async fn echo(&self, time: Duration) -> Result<(), NotReady> {
        if self.is_stopping() {
            return Err(NotReady::Stopping);
        }
        let deadline = Instant::now() + time.min(ECHO_TIME_MAX);
        let asked: Vec<_> = self.parts().shared.inboxes.iter().map(|inbox| inbox.ask()).collect();
        for (shard, answered) in asked.into_iter().enumerate() {
            let answer = timeout_at(deadline, answered).await;
            if !matches!(answer, Ok(Ok(()))) {
                return Err(NotReady::Deaf { shard });
            }
        }
        Ok(())
    }

    fn links_of(&self) -> Option<&Links> {
        self.parts().shared.cluster.get()?.cluster()
    }

    /// Looks at what keeps this node among the others: its links, and the voter if it is one. `None` when it stands alone.
    pub fn with_links<R>(&self, look: impl FnOnce(&Links) -> R) -> Option<R> {
        self.links_of().map(look)
    }

    /// What the node said of itself when it joined its cluster; `None` when it stands alone.
    #[must_use]
    pub fn record(&self) -> Option<&NodeRecord> {
        self.links_of().map(Links::record)
    }

    /// The registry of its cluster.
    #[must_use]
    pub fn registry(&self) -> Option<Arc<dyn Registry>> {
        self.links_of().map(Links::registry)
    }

    /// The voter that this node is, if it is one: how it does, and who else votes.
    #[must_use]
    pub fn voter(&self) -> Option<LocalRegistry> {
        self.links_of()?.voter().map(dunlin_registry::Node::registry)
    }

    /// The links to other nodes that have services.
    #[must_use]
    pub fn links(&self) -> Vec<LinkState> {
        let state = |peer: &dunlin_cluster::Peer| LinkState {
            node: peer.id(),
            name: peer.record().name.clone(),
            is_up: peer.is_up(),
            links: peer.links(),
            in_flight: peer.in_flight(),
            round_trip: peer.round_trip(),
        };
        self.links_of()
            .map(|links| links.peers().iter().map(|peer| state(peer)).collect())
            .unwrap_or_default()
    }
}
