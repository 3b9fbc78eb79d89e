//! Services whose handlers take `&self`: they run whenever they are called, on the shard of the caller.

use std::sync::Arc;
use std::time::Duration;

use super::BoxFuture;
use super::hooks::{Hooks, log_tick};
use super::lifecycle::{Component, Stage};
use super::mount::{Mount, RouteOwner, RouteSpec, Service};
use super::parts::{AppParts, Needs};
use crate::error::{Error, Result};
use crate::serializer::SerializerKind;
use crate::timer::Timer;

/// A hook or tick of a shared service.
pub type SharedHook<S> = for<'a> fn(&'a S, &'a AppParts) -> BoxFuture<'a, Result<()>>;

/// A shared service that is being mounted.
#[derive(Debug)]
pub struct SharedMount<'a, S> {
    mount: Mount<'a>,
    service: Arc<S>,
    serializer: Option<SerializerKind>,
    hooks: Hooks<SharedHook<S>>,
    needs: Needs,
}

impl<'a, S: Service + Sync> SharedMount<'a, S> {
    pub(super) fn new(mount: Mount<'a>, service: S) -> Self {
        Self {
            mount,
            service: Arc::new(service),
            serializer: None,
            hooks: Hooks::default(),
            needs: Needs::default(),
        }
    }

    /// Uses another serializer than the application for the routes added from here on.
    pub fn serializer(&mut self, serializer: impl Into<SerializerKind>) {
        self.serializer = Some(serializer.into());
    }

    /// Adds a route.
    pub fn route(&mut self, spec: &RouteSpec) {
        let owner = RouteOwner {
            service: self.service.clone(),
            serializer: self.serializer.clone(),
            is_serial: false,
        };
        self.mount.add_route(spec, owner);
    }

    /// Adds a hook.
    pub fn hook(&mut self, stage: Stage, needs: fn(&mut Needs), hook: SharedHook<S>) {
        needs(&mut self.needs);
        self.hooks.stages.push((stage, hook));
    }

    /// Adds a tick.
    pub fn every(&mut self, period: Duration, needs: fn(&mut Needs), tick: SharedHook<S>) {
        needs(&mut self.needs);
        self.hooks.add_tick(period, tick);
    }

    /// Ends the mounting.
    pub fn done(self) {
        let name = self.mount.name().clone();
        let component = SharedComponent {
            name,
            service: self.service,
            hooks: self.hooks,
            parts: None,
            ticking: Vec::new(),
        };
        self.mount.add_component(component, self.needs);
    }
}

struct SharedComponent<S> {
    name: Arc<str>,
    service: Arc<S>,
    hooks: Hooks<SharedHook<S>>,
    parts: Option<Arc<AppParts>>,
    ticking: Vec<Timer>,
}

impl<S: Send + Sync + 'static> Component for SharedComponent<S> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn start(&mut self, parts: &Arc<AppParts>) -> Result<()> {
        self.parts = Some(parts.clone());
        Ok(())
    }

    fn enter(&mut self, stage: Stage) -> BoxFuture<'_, Result<()>> {
        if stage == Stage::Shutdown {
            self.ticking.drain(..).for_each(|timer| timer.stop());
        }
        Box::pin(async move {
            let Some(parts) = &self.parts else {
                return Err(Error::unavailable("the service is not started"));
            };
            for hook in self.hooks.of(stage) {
                hook(&self.service, parts).await?;
            }
            Ok(())
        })
    }

    fn open(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(self.begin_ticks()))
    }

    fn abandon(&mut self) {}
}

impl<S: Send + Sync + 'static> SharedComponent<S> {
    fn begin_ticks(&mut self) -> Result<()> {
        let Some(parts) = &self.parts else { return Err(Error::unavailable("the service is not started")) };
        for (period, tick) in self.hooks.ticks.iter().copied() {
            let (name, service, app) = (self.name.clone(), self.service.clone(), parts.clone());
            let timer = parts.timers.every(period, move || {
                let (name, service, app) = (name.clone(), service.clone(), app.clone());
                async move { log_tick(&name, tick(&service, &app).await) }
            })?;
            self.ticking.push(timer);
        }
        Ok(())
    }
}
