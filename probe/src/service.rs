//! The service that backends have: it says which request of a session it has handled before, so that a client can tell what went wrong.

use std::sync::atomic::{AtomicU64, Ordering};

use dunlin::{Error, Msg, Result, Session, service};

use crate::words::{Answer, Ask, Beat, Visit};

/// See the module.
pub(crate) struct Probe {
    node: String,
    life: u64,
    visits: AtomicU64,
}

/// What is kept with a session.
struct Known {
    who: String,
    visit: u64,
    last: Option<u64>,
}

impl Probe {
    /// The service of a node with this name, in a life of its own.
    pub(crate) fn new(node: &str) -> Self {
        Self { node: node.to_owned(), life: fastrand::u64(..), visits: AtomicU64::new(0) }
    }

    fn begin(&self, who: &str) -> Known {
        Known { who: who.to_owned(), visit: self.visits.fetch_add(1, Ordering::Relaxed), last: None }
    }
}

#[service]
impl Probe {
    /// Route `Probe.next`: pushes the number to the session, and answers what was known of that.
    #[request]
    async fn next(&self, session: Session, Msg(Ask { who, number }): Msg<Ask>) -> Result<Answer> {
        let handled = session.with_or_insert(
            || self.begin(&who),
            |known| (known.who.clone(), known.visit, known.last.replace(number)),
        );
        let (who, visit, before) = handled.ok_or_else(|| Error::new(Error::CLOSED, "the session is over"))?;
        let (session_id, visit) = (session.id().get(), Visit { life: self.life, visit });
        // One that is not sent is missed by the client.
        session.push(&Beat { who: who.clone(), session: session_id, number, visit }).ok();
        Ok(Answer { who, session: session_id, number, before, visit, node: self.node.clone() })
    }
}
