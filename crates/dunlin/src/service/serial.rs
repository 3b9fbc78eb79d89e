//! Services whose handlers take `&mut self`: one task owns the value, and everything that happens to it, calls,
//! ticks and hooks, happens one after another.
//!
//! Invariants: the mailbox is bounded and a full one is an answer; a call whose caller is gone before its turn is
//! skipped; a handler that panics or takes too long harms its own call only.

mod actor;

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use self::actor::{Actor, Control};
use super::hooks::Hooks;
use super::lifecycle::{Component, Stage};
use super::mount::{Mount, RouteOwner, RouteSpec, Service};
use super::parts::{AppParts, Needs};
use super::{BoxFuture, contain};
use crate::error::{Error, Result};
use crate::serializer::SerializerKind;

/// A hook or tick of a serial service.
pub type SerialHook<S> = for<'a> fn(&'a mut S, &'a AppParts) -> BoxFuture<'a, Result<()>>;

/// A serial service that is being mounted.
#[derive(Debug)]
pub struct SerialMount<'a, S> {
    mount: Mount<'a>,
    mailbox: Arc<Mailbox<S>>,
    seed: Seed<S>,
    serializer: Option<SerializerKind>,
    needs: Needs,
}

/// Where the calls of a serial service wait for their turn.
#[derive(Debug)]
pub(super) struct Mailbox<S>(mpsc::Sender<Box<dyn Job<S>>>);

/// A serial service before its task has begun.
struct Seed<S> {
    service: S,
    jobs: mpsc::Receiver<Box<dyn Job<S>>>,
    hooks: Hooks<SerialHook<S>>,
}

impl<S> std::fmt::Debug for Seed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seed").field("hooks", &self.hooks).finish_non_exhaustive()
    }
}

impl<'a, S: Service> SerialMount<'a, S> {
    pub(super) fn new(mount: Mount<'a>, service: S, mailbox: usize) -> Self {
        let (sender, jobs) = mpsc::channel(mailbox.max(1));
        let seed = Seed { service, jobs, hooks: Hooks::default() };
        Self { mount, mailbox: Arc::new(Mailbox(sender)), seed, serializer: None, needs: Needs::default() }
    }

    /// Uses another serializer than the application for the routes added from here on.
    pub fn serializer(&mut self, serializer: impl Into<SerializerKind>) {
        self.serializer = Some(serializer.into());
    }

    /// Adds a route.
    pub fn route(&mut self, spec: &RouteSpec) {
        let owner = RouteOwner {
            service: self.mailbox.clone(),
            serializer: self.serializer.clone(),
            is_serial: true,
        };
        self.mount.add_route(spec, owner);
    }

    /// Adds a hook.
    pub fn hook(&mut self, stage: Stage, needs: fn(&mut Needs), hook: SerialHook<S>) {
        needs(&mut self.needs);
        self.seed.hooks.stages.push((stage, hook));
    }

    /// Adds a tick.
    pub fn every(&mut self, period: Duration, needs: fn(&mut Needs), tick: SerialHook<S>) {
        needs(&mut self.needs);
        self.seed.hooks.add_tick(period, tick);
    }

    /// Ends the mounting.
    pub fn done(self) {
        let name = self.mount.name().clone();
        let component = SerialComponent { name, seed: Some(self.seed), control: None };
        self.mount.add_component(Box::new(component), self.needs);
    }
}

/// One call in the mailbox.
pub(super) trait Job<S>: Send {
    /// Whether nobody waits for the outcome any more.
    fn is_abandoned(&self) -> bool;

    /// Does the work and tells whoever waits. Does not panic, and ends when `limit` has passed.
    fn run<'a>(self: Box<Self>, service: &'a mut S, limit: Duration) -> BoxFuture<'a, ()>
    where
        Self: 'a;
}

struct Ask<R, F> {
    work: F,
    answer: oneshot::Sender<Result<R>>,
    _output: PhantomData<fn() -> R>,
}

impl<S, R, F> Job<S> for Ask<R, F>
where
    S: Send,
    R: Send + 'static,
    F: for<'a> FnOnce(&'a mut S) -> BoxFuture<'a, R> + Send + 'static,
{
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run<'a>(self: Box<Self>, service: &'a mut S, limit: Duration) -> BoxFuture<'a, ()>
    where
        Self: 'a,
    {
        let Self { work, answer, .. } = *self;
        Box::pin(async move {
            let outcome = limited("serial handler", limit, async { work(service).await }).await;
            // The caller may have gone while the handler ran.
            drop(answer.send(outcome));
        })
    }
}

/// Runs work that must neither panic nor last.
async fn limited<R>(what: &str, limit: Duration, work: impl Future<Output = R>) -> Result<R> {
    match timeout(limit, contain(what, work)).await {
        Ok(Some(output)) => Ok(output),
        Ok(None) => Err(Error::internal("internal error")),
        Err(_) => Err(Error::timeout("the service did not finish in time")),
    }
}

impl<S: Send + 'static> Mailbox<S> {
    /// Puts work into the mailbox and waits for its outcome.
    pub(super) async fn ask<R, F>(&self, work: F) -> Result<R>
    where
        R: Send + 'static,
        F: for<'a> FnOnce(&'a mut S) -> BoxFuture<'a, R> + Send + 'static,
    {
        let (answer, outcome) = oneshot::channel();
        let job = Box::new(Ask { work, answer, _output: PhantomData });
        self.0.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::overloaded("the service has too many calls waiting"),
            mpsc::error::TrySendError::Closed(_) => Error::unavailable("the service has stopped"),
        })?;
        outcome.await.unwrap_or_else(|_| Err(Error::unavailable("the service has stopped")))
    }
}

struct SerialComponent<S> {
    name: Arc<str>,
    /// Taken by the task when it begins.
    seed: Option<Seed<S>>,
    control: Option<mpsc::Sender<Control>>,
}

impl<S> SerialComponent<S> {
    /// Gives the task an order and waits until it is obeyed.
    fn tell(&self, stage: Option<Stage>) -> BoxFuture<'static, Result<()>> {
        let control = self.control.clone();
        let gone = || Error::unavailable("the service has stopped");
        Box::pin(async move {
            let (done, outcome) = oneshot::channel();
            let control = control.ok_or_else(gone)?;
            control.send(Control { stage, done }).await.map_err(|_| gone())?;
            outcome.await.unwrap_or_else(|_| Err(gone()))
        })
    }
}

impl<S: Send + 'static> Component for SerialComponent<S> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn start(&mut self, parts: &Arc<AppParts>) -> Result<()> {
        let Some(seed) = self.seed.take() else { return Ok(()) };
        let (control, controls) = mpsc::channel(1);
        self.control = Some(control);
        let actor = Actor::new(self.name.clone(), seed, controls, parts.clone());
        let refused = |_| Error::unavailable("the application is stopping");
        parts.tasks.spawn(actor.run()).map_err(refused)
    }

    fn enter(&mut self, stage: Stage) -> BoxFuture<'_, Result<()>> {
        self.tell(Some(stage))
    }

    fn open(&mut self) -> BoxFuture<'_, Result<()>> {
        self.tell(None)
    }

    fn abandon(&mut self) {
        self.control = None;
    }
}
