//! The calls of one session of another node's: in the order in which they came, and never more at a time than may be.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_cluster::frame;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::backend::GateLink;
use crate::edge::{Outcome, awaited};
use crate::error::{Error, Result};
use crate::service::{
    Call, CallFuture, CallKind, Reply, RouteEntry, Router, Started, Starters, carried_span,
};
use crate::session::Session;

/// Calls of a session that wait for the one before: its node has fewer on their way, unless it is set up otherwise.
const WAITING_MAX: usize = 4_096;

/// A session of another node's.
pub(super) struct Visitor {
    pub(super) session: Session,
    /// An ordered call of it runs; those that come meanwhile wait.
    is_busy: bool,
    waiting: VecDeque<Job>,
}

/// A call on its way.
struct Job {
    entry: Arc<RouteEntry>,
    kind: CallKind,
    id: u64,
    body: Bytes,
    deadline: Instant,
    /// The trace that it is part of, elsewhere.
    trace: String,
}

impl Visitor {
    pub(super) fn new(session: Session) -> Self {
        Self { session, is_busy: false, waiting: VecDeque::new() }
    }

    /// Calls that wait for the one that runs.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// Runs the calls of one link's sessions.
#[derive(Clone)]
pub(super) struct Runner {
    pub(super) gate: Arc<GateLink>,
    pub(super) router: Arc<Router>,
}

impl Runner {
    /// Begins a call, or puts it behind those of its session that wait.
    pub(super) fn handle_call(&self, call: frame::Call, starters: &mut Starters) {
        let frame::Call { id, session, route, body, timeout_ms, client, is_notify, trace } = call;
        let deadline = Instant::now() + Duration::from_millis(timeout_ms.into());
        let entry = self.router.lookup(route.as_bytes()).cloned();
        let of_node = session == 0;
        // The gate of a client cannot know what is for nodes alone, so it is refused here.
        let entry =
            entry.or_else(|| self.router.fallback(&route)).filter(|entry| of_node || !entry.is_internal());
        let Some(entry) = entry else {
            self.gate.app().stats.unknown_routes.add(1);
            return self.gate.answer(id, Err(Error::not_found("nobody serves this route")));
        };
        let session = self.gate.session(session, client.as_ref());
        let kind = if is_notify { CallKind::Notify } else { CallKind::Request };
        let job = Job { entry, kind, id, body, deadline, trace };
        if of_node || job.entry.is_concurrent() {
            return self.start(&session, job, false, starters);
        }
        if let Some(job) = self.take_turn(&session, job) {
            self.start(&session, job, true, starters);
        }
    }

    /// The job, if it is its turn. Else it waits, or is refused.
    fn take_turn(&self, session: &Session, job: Job) -> Option<Job> {
        let id = job.id;
        {
            let mut visitors = self.gate.lock();
            // One that ended this very moment is nobody's.
            let visitor = visitors.get_mut(&session.id().get())?;
            if !visitor.is_busy {
                return Some(job);
            }
            if visitor.waiting.len() < WAITING_MAX {
                visitor.waiting.push_back(job);
                self.gate.begin_call();
                return None;
            }
        }
        self.gate.app().stats.overloads.add(1);
        self.gate.answer(id, Err(Error::overloaded("too many calls of the session wait")));
        None
    }

    /// Begins a call. One that does not have to wait is answered before this returns.
    fn start(&self, session: &Session, job: Job, is_ordered: bool, starters: &mut Starters) {
        let Job { entry, kind, id, body, deadline, trace } = job;
        let call = Call::new(session.clone(), entry.clone(), kind, body);
        match carried_span(&trace).in_scope(|| self.router.start(call, starters)) {
            Started::Done(result) => self.gate.answer(id, result),
            Started::Panicked => self.answer(&entry, id, Outcome::Panicked),
            Started::Waits(future) => {
                if is_ordered && let Some(visitor) = self.gate.lock().get_mut(&session.id().get()) {
                    visitor.is_busy = true;
                }
                self.gate.begin_call();
                let (runner, session) = (self.clone(), session.clone());
                tokio::spawn(async move {
                    runner.finish(&entry, id, deadline, future).await;
                    runner.gate.end_call();
                    if is_ordered {
                        runner.run_waiting(&session).await;
                    }
                });
            }
        }
    }

    /// Runs what waited for an ordered call of a session, one after another.
    async fn run_waiting(&self, session: &Session) {
        while let Some(Job { entry, kind, id, body, deadline, trace }) = self.next_waiting(session) {
            let call = Call::new(session.clone(), entry.clone(), kind, body);
            let running = self.finish(&entry, id, deadline, self.router.run(call));
            running.instrument(carried_span(&trace)).await;
            self.gate.end_call();
        }
    }

    fn next_waiting(&self, session: &Session) -> Option<Job> {
        let mut visitors = self.gate.lock();
        let visitor = visitors.get_mut(&session.id().get())?;
        let next = visitor.waiting.pop_front();
        visitor.is_busy = next.is_some();
        next
    }

    /// Awaits a call to its end, or to the end of its time, and answers it.
    async fn finish(&self, entry: &RouteEntry, id: u64, deadline: Instant, future: CallFuture) {
        self.answer(entry, id, awaited(future, deadline).await);
    }

    fn answer(&self, entry: &RouteEntry, id: u64, outcome: Outcome<Result<Reply>>) {
        self.gate.answer(id, outcome.settle(entry.name(), &self.gate.app().stats));
    }
}
