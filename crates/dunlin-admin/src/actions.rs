//! What can be asked for at the port. Each is told in the events and in the log, done or refused.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use dunlin::{Node, NodeRecord};
use dunlin_registry::nodes::ask_to_stop;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::events::{Event, EventKind};
use crate::others::Answer;
use crate::{LABEL, Shared};

/// How long the registry may take to be told.
const ASK_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// What an action is about.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct About {
    /// A node, by its name.
    node: String,
    /// A session's uid.
    uid: String,
    /// What the session's client is told.
    reason: String,
    /// A filter of the log.
    level: String,
}

/// What came of it, as a sentence.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    said: String,
}

/// Why it was not done.
type Refusal = (StatusCode, String);

/// Does what is asked for.
pub(crate) async fn act(
    State(shared): State<Arc<Shared>>,
    Path(action): Path<String>,
    Json(about): Json<About>,
) -> (StatusCode, Json<Done>) {
    let done = match &*action {
        "drain" => drain(&shared, &about).await,
        "lead" => lead(&shared, &about),
        "kick" => kick(&shared, &about).await,
        "log" => log(&shared, &about),
        _ => Err((StatusCode::NOT_FOUND, format!("there is no action `{action}`"))),
    };
    let (status, said) = match done {
        Ok(said) => (StatusCode::OK, said),
        Err((status, why)) => (status, format!("refused: {why}")),
    };
    tracing::info!(action, status = status.as_u16(), said, "asked for at the admin port");
    shared.events.note(Event::new(EventKind::Action, format!("{action}: {said}")));
    (status, Json(Done { said }))
}

/// Lets a node finish what it has, and stop; any node of the cluster.
async fn drain(shared: &Shared, about: &About) -> Result<String, Refusal> {
    if let Some((name, node)) = shared.here().into_iter().find(|(name, _)| **name == *about.node) {
        node.ask_to_stop();
        return Ok(format!("{name} drains"));
    }
    let (node, record) = find(shared, &about.node)?;
    let registry = node.registry().ok_or_else(|| unavailable("this node is in no cluster"))?;
    match timeout(ASK_TIMEOUT, ask_to_stop(&registry, record.id)).await {
        Ok(Ok(())) => Ok(format!("{} is asked to drain", record.name)),
        Ok(Err(error)) => Err(unavailable(&error.to_string())),
        Err(_) => Err(unavailable("the registry does not answer")),
    }
}

/// Lets the voter of a node lead.
fn lead(shared: &Shared, about: &About) -> Result<String, Refusal> {
    let (node, record) = find(shared, &about.node)?;
    let voter =
        shared.here().iter().filter_map(|(_, node)| node.voter()).find(is_leading).or_else(|| node.voter());
    let voter = voter.ok_or_else(|| unavailable("ask a node that votes"))?;
    let member =
        voter.members().into_iter().find(|member| member.urls.iter().any(|url| record.urls.contains(url)));
    let member = member.ok_or_else(|| unavailable(&format!("{} does not vote", record.name)))?;
    voter.transfer_leadership(member.id).map_err(|error| unavailable(&error.to_string()))?;
    Ok(format!("{} is to lead", record.name))
}

fn is_leading(voter: &dunlin_registry::LocalRegistry) -> bool {
    voter.state().leader == voter.member_id()
}

/// Disconnects a user's sessions on one node, or on those of this process.
async fn kick(shared: &Shared, about: &About) -> Result<String, Refusal> {
    let here = shared.here();
    let is_here = about.node.is_empty() || here.iter().any(|(name, _)| **name == *about.node);
    if !is_here {
        let (_, record) = find(shared, &about.node)?;
        let url = record.labels.get(LABEL).ok_or_else(|| unavailable("the node has no admin port"))?;
        return match shared.others.act::<Done>(url, "kick", about).await {
            Answer::Said(done) => Ok(done.said),
            Answer::Silent(why) => Err(unavailable(why)),
        };
    }
    let asked = here.iter().filter(|(name, _)| about.node.is_empty() || **name == *about.node);
    let sessions: Vec<_> = asked.flat_map(|(_, node)| node.sessions().of_uid(&about.uid)).collect();
    let kicked = sessions.iter().filter(|session| session.kick(about.reason.clone()).is_ok()).count();
    match kicked {
        0 => Err((StatusCode::NOT_FOUND, format!("`{}` has no session here", about.uid))),
        count => Ok(format!("`{}` was disconnected ({count})", about.uid)),
    }
}

/// Changes what is logged.
fn log(shared: &Shared, about: &About) -> Result<String, Refusal> {
    let set =
        shared.set_log_level.as_ref().ok_or_else(|| unavailable("this process cannot change its log"))?;
    set(&about.level).map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    Ok(format!("logs `{}`", about.level))
}

/// A node of the cluster by its name, and one of this process that knows it.
fn find(shared: &Shared, name: &str) -> Result<(Arc<Node>, NodeRecord), Refusal> {
    let found = shared.here().into_iter().find_map(|(_, node)| {
        let record = node.cluster().nodes().iter().find(|record| record.name == name).cloned()?;
        Some((node, record))
    });
    found.ok_or_else(|| (StatusCode::NOT_FOUND, format!("there is no node `{name}`")))
}

fn unavailable(why: &str) -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
}
