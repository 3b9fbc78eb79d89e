//! The ledger: a service that writes down which request of which session it handled, and tells the judge.
//!
//! Its calls are dispatched by the session, so about two of three go over a link to another node.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dunlin::{App, Msg, Result, Session, service};
use tokio::time::Instant;

use super::judge::{Judge, Life};
use super::messages::{Record, Recorded};

/// The judge, as all nodes and bots have it.
#[derive(Debug, Clone, Default)]
pub(super) struct Court(Arc<Mutex<Judge>>);

impl Court {
    pub(super) fn judge(&self) -> MutexGuard<'_, Judge> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ledger of one life of a node.
pub(super) struct Ledger {
    node: String,
    life: Life,
    court: Court,
}

#[service]
impl Ledger {
    /// Writes down the next request of a session.
    #[request]
    async fn record(&self, session: Session, Msg(record): Msg<Record>) -> Result<Recorded> {
        let (mut judge, session) = (self.court.judge(), session.id().get());
        judge.handle_known(self.life, session);
        judge.handle_handled(self.life, session, record.number);
        Ok(Recorded { number: record.number, node: self.node.clone() })
    }
}

/// Adds the ledger to a node, and has the judge told of the sessions that the node knows.
pub(super) fn serve_ledger(app: App, node: &str, life: Life, court: &Court) -> App {
    let (opened, closed) = (court.clone(), court.clone());
    app.service(Ledger { node: node.to_owned(), life, court: court.clone() })
        .dispatch_by("Ledger", |call| call.session().id().get().to_be_bytes().to_vec())
        .on_opened(move |session| opened.judge().handle_opened(life, session.id().get()))
        .on_closed(move |session, _| {
            closed.judge().handle_forgotten(Instant::now(), life, session.id().get());
        })
}
