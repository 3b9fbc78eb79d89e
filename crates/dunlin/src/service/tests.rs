//! Tests of what lies between a call and its handler. Calls are made by hand; only their session comes from a client.

mod build;
mod layers;
mod lifecycle;
mod routing;
mod serial;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::set::Services;
use super::*;
use crate::error::{Error, Result};
use crate::group::Groups;
use crate::session::Session;
use crate::{App, LocalClient};

/// The services of one application, and a session to call them from.
struct Bench {
    services: Services,
    session: Session,
    /// Ends the session when dropped.
    _client: (App, LocalClient),
}

impl Bench {
    async fn new(fill: impl FnOnce(&mut ServiceSet)) -> Self {
        let mut set = ServiceSet::new();
        fill(&mut set);
        let (session, app, client) = session().await;
        Self { services: set.build(Groups::new()).unwrap(), session, _client: (app, client) }
    }

    /// As `new`, with the services started.
    async fn started(fill: impl FnOnce(&mut ServiceSet)) -> Self {
        let mut bench = Self::new(fill).await;
        bench.services.lifecycle.start(Instant::now() + Duration::from_secs(10)).await.unwrap();
        bench
    }

    fn call(&self, kind: CallKind, route: &str, body: &str) -> CallFuture {
        let entry = self.services.router.lookup(route.as_bytes()).expect("the route is served");
        self.call_of(entry, kind, Bytes::copy_from_slice(body.as_bytes()))
    }

    /// Begins a call as a shard does.
    fn call_of(&self, entry: &Arc<RouteEntry>, kind: CallKind, body: Bytes) -> CallFuture {
        let router = &self.services.router;
        match router.start(Call::new(self.session.clone(), entry.clone(), kind, body), &mut router.starters())
        {
            Started::Done(outcome) => Box::pin(std::future::ready(outcome)),
            Started::Waits(future) => future,
            Started::Panicked => panic!("the handler panicked"),
        }
    }

    async fn request(&self, route: &str, body: &str) -> Result<String> {
        let reply = self.call(CallKind::Request, route, body).await?;
        Ok(String::from_utf8(reply.into_body().into()).unwrap())
    }

    async fn notify(&self, route: &str, body: &str) -> Result<()> {
        let reply = self.call(CallKind::Notify, route, body).await?;
        assert!(reply.body().is_empty());
        Ok(())
    }

    async fn refused(&self, route: &str, body: &str) -> Error {
        self.request(route, body).await.unwrap_err()
    }

    async fn stop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        self.services.lifecycle.before_shutdown(deadline).await;
        self.services.lifecycle.shutdown(deadline).await;
    }
}

async fn session() -> (Session, App, LocalClient) {
    let opened = Arc::new(Mutex::new(None));
    let slot = opened.clone();
    let app = App::new().on_opened(move |session: &Session| *slot.lock().unwrap() = Some(session.clone()));
    let client = app.connect().await.unwrap();
    let session = opened.lock().unwrap().take().unwrap();
    (session, app, client)
}

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
