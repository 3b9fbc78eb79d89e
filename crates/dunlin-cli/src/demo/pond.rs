//! The pond: tadpoles that swim on three nodes at once. This file is all of it; the page
//! shows this very text.
//!
//! No node owns the pond. Each has the tadpoles of its own clients, and tells all nodes where
//! they are, twelve times a second. A node that is not heard of for two seconds has no tadpoles
//! any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dunlin::{Cluster, Groups, Msg, Result, Session, SessionId, service};
use tokio::time::{Instant, timeout};

use super::messages::{Enter, Entered, Everybody, School, Spot, Tadpole};

/// After so long a silence of a node its tadpoles are gone from the pond.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// How long the other nodes may take to hear where our tadpoles are: the next word comes soon.
const TELL_TIMEOUT: Duration = Duration::from_millis(300);

/// The pond as one node knows it.
#[derive(Clone)]
pub(super) struct Pond {
    node: String,
    swimming: Arc<Mutex<Swimming>>,
}

#[derive(Default)]
struct Swimming {
    /// The tadpoles of our own clients.
    ours: BTreeMap<SessionId, Tadpole>,
    /// What each node told last, this one too, and when.
    heard: BTreeMap<String, (Instant, School)>,
    last_id: u32,
}

#[service]
impl Pond {
    /// A client comes in: it has a tadpole from now on, and is told of all others.
    #[request]
    async fn enter(&self, session: Session, groups: Groups, Msg(enter): Msg<Enter>) -> Result<Entered> {
        groups.group("pond").add(&session)?;
        let id = self.with(|swimming| {
            swimming.last_id += 1;
            let tadpole = Tadpole { id: swimming.last_id, at: enter.at.in_pond(), bot: enter.bot };
            swimming.ours.insert(session.id(), tadpole);
            swimming.last_id
        });
        let pond = self.clone();
        session.on_close(move |session, _| {
            pond.with(|swimming| swimming.ours.remove(&session.id()));
        })?;
        Ok(Entered { node: self.node.clone(), id, session: session.id().to_string() })
    }

    /// A client says where its tadpole is.
    #[notify]
    async fn swim(&self, session: Session, Msg(at): Msg<Spot>) {
        self.with(|swimming| {
            if let Some(tadpole) = swimming.ours.get_mut(&session.id()) {
                tadpole.at = at.in_pond();
            }
        });
    }

    /// A node says where the tadpoles of its clients are.
    #[request(internal)]
    async fn hear(&self, Msg(school): Msg<School>) -> Result<()> {
        self.with(|swimming| swimming.heard.insert(school.node.clone(), (Instant::now(), school)));
        Ok(())
    }

    /// Tells all nodes, this one too, where the tadpoles of our clients are.
    #[every("80ms")]
    async fn tell(&self, cluster: Cluster) -> Result<()> {
        let tadpoles = self.with(|swimming| swimming.ours.values().cloned().collect());
        let school = School { node: self.node.clone(), tadpoles };
        // Who does not answer is not waited for.
        if let Ok(answers) = timeout(TELL_TIMEOUT, cluster.call_all::<()>("Pond.hear", &school)).await {
            answers?;
        }
        Ok(())
    }

    /// Tells our clients of the whole pond, each with one push.
    #[every("80ms")]
    async fn show(&self, groups: Groups) -> Result<()> {
        let schools = self.with(|swimming| {
            swimming.heard.retain(|_, (at, _)| at.elapsed() < SILENCE_MAX);
            swimming.heard.values().map(|(_, school)| school.clone()).collect()
        });
        groups.group("pond").broadcast(&Everybody { schools })?;
        Ok(())
    }
}

impl Pond {
    /// The pond at the node of this name.
    pub(super) fn at(node: &str) -> Self {
        Self { node: node.to_owned(), swimming: Arc::default() }
    }

    /// Looks at what swims or changes it. Nothing here waits.
    fn with<R>(&self, look: impl FnOnce(&mut Swimming) -> R) -> R {
        look(&mut self.swimming.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
