//! The routes of the buttons, and of those who watch the cluster.

use std::sync::Arc;

use dunlin::{Groups, Msg, Result, Session, State, service};

use super::lab::Lab;
use super::look::snapshot;
use super::messages::{Done, Pair, Snapshot, Which};

/// The group of those who are told of the cluster.
pub(super) const WATCHERS: &str = "watchers";

/// Where the lab takes orders. What it does is in the lab, which all nodes share.
pub(super) struct Desk;

#[service]
impl Desk {
    /// Watches the cluster from now on.
    #[request]
    async fn watch(&self, session: Session, groups: Groups, State(lab): State<Arc<Lab>>) -> Result<Snapshot> {
        groups.group(WATCHERS).add(&session)?;
        Ok(snapshot(&lab, &[]))
    }

    /// Kills the node that leads.
    #[request]
    async fn kill_leader(&self, State(lab): State<Arc<Lab>>) -> Result<Done> {
        lab.kill_leader().map(|text| Done { text })
    }

    /// Cuts the link between two nodes.
    #[request]
    async fn cut(&self, State(lab): State<Arc<Lab>>, Msg(link): Msg<Pair>) -> Result<Done> {
        lab.cut(&link.one, &link.other).map(|text| Done { text })
    }

    /// Mends the link that is cut.
    #[request]
    async fn mend(&self, State(lab): State<Arc<Lab>>) -> Result<Done> {
        lab.mend().map(|text| Done { text })
    }

    /// Stops a node as a deploy does.
    #[request]
    async fn drain(&self, State(lab): State<Arc<Lab>>, Msg(which): Msg<Which>) -> Result<Done> {
        lab.drain(&which.node).map(|text| Done { text })
    }

    /// Sends a client in that stops reading.
    #[request]
    async fn slow_client(&self, State(lab): State<Arc<Lab>>) -> Result<Done> {
        lab.slow_client().map(|text| Done { text })
    }
}
