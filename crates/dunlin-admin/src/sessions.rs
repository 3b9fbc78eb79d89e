//! Sessions of users, of all gates that can be asked, found by a part of their uid.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Json;
use dunlin::Session;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::Shared;
use crate::limits::SESSIONS_MAX;
use crate::others::Answer;
use crate::state::elsewhere;

/// Which sessions.
#[derive(Debug, Deserialize)]
pub(crate) struct Which {
    /// A part of the uid; nothing is a part of all.
    #[serde(default)]
    uid: String,
    /// Those whose uid comes after this one.
    after: Option<String>,
    /// Those of this process alone.
    #[serde(default)]
    here: bool,
}

/// A session, as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SessionLine {
    node: String,
    id: String,
    uid: Option<String>,
    addr: Option<String>,
    transport: String,
    age_s: u64,
}

/// The first of those that are asked for, in the order of their uids.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(which): Query<Which>,
) -> Json<Vec<SessionLine>> {
    let here = shared.here();
    let found = |(name, node): &(Arc<str>, Arc<dunlin::Node>)| {
        let sessions = node.sessions().find(&which.uid, which.after.as_deref(), SESSIONS_MAX);
        sessions.iter().map(|session| line(name, session)).collect::<Vec<_>>()
    };
    let mut lines: Vec<SessionLine> = here.iter().flat_map(found).collect();
    if !which.here {
        for (_, answer) in shared.others.ask::<Vec<SessionLine>>(elsewhere(&here), &path(&which)).await {
            if let Answer::Said(there) = answer {
                lines.extend(there);
            }
        }
    }
    lines.sort_by(|a, b| a.uid.cmp(&b.uid).then_with(|| a.id.cmp(&b.id)));
    lines.truncate(SESSIONS_MAX);
    Json(lines)
}

/// The same question for another node, every byte of it that could mean something else escaped.
fn path(which: &Which) -> String {
    let mut path = "/admin/api/sessions?here=true".to_owned();
    for (name, value) in [("uid", Some(&which.uid)), ("after", which.after.as_ref())] {
        let Some(value) = value else { continue };
        // Writing to a string does not fail.
        write!(path, "&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)).ok();
    }
    path
}

fn line(node: &str, session: &Session) -> SessionLine {
    SessionLine {
        node: node.to_owned(),
        id: session.id().to_string(),
        uid: session.uid().map(|uid| uid.to_string()),
        addr: session.remote_addr().map(|addr| addr.to_string()),
        transport: format!("{:?}", session.transport()).to_lowercase(),
        age_s: session.age().as_secs(),
    }
}
