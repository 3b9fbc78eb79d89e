//! Services whose handlers take `&self`: they run whenever they are called, on the shard of the caller.

use std::any::Any;
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
    service: Arc<dyn Any + Send + Sync>,
    component: SharedComponent<S>,
    /// Kept as a function, so that only `Mount::shared` asks for `Sync` and a service without it is told once.
    into_component: fn(SharedComponent<S>) -> Box<dyn Component>,
    serializer: Option<SerializerKind>,
    needs: Needs,
}

#[derive(Debug)]
struct SharedComponent<S> {
    name: Arc<str>,
    service: Arc<S>,
    hooks: Hooks<SharedHook<S>>,
    parts: Option<Arc<AppParts>>,
    ticking: Vec<Timer>,
}

impl<'a, S: Service> SharedMount<'a, S> {
    pub(super) fn new(mount: Mount<'a>, service: S) -> Self
    where
        S: Sync,
    {
        let (name, service) = (mount.name().clone(), Arc::new(service));
        Self {
            mount,
            service: service.clone(),
            component: SharedComponent {
                name,
                service,
                hooks: Hooks::default(),
                parts: None,
                ticking: Vec::new(),
            },
            into_component: |component| Box::new(component),
            serializer: None,
            needs: Needs::default(),
        }
    }

    /// Uses another serializer than the application for the routes added from here on.
    pub fn serializer(&mut self, serializer: impl Into<SerializerKind>) {
        self.serializer = Some(serializer.into());
    }

    /// Adds a route.
    pub fn route(&mut self, spec: &RouteSpec) {
        let (service, serializer) = (self.service.clone(), self.serializer.clone());
        self.mount.add_route(spec, RouteOwner { service, serializer, is_serial: false });
    }

    /// Adds a hook.
    pub fn hook(&mut self, stage: Stage, needs: fn(&mut Needs), hook: SharedHook<S>) {
        needs(&mut self.needs);
        self.component.hooks.stages.push((stage, hook));
    }

    /// Adds a tick.
    pub fn every(&mut self, period: Duration, needs: fn(&mut Needs), tick: SharedHook<S>) {
        needs(&mut self.needs);
        self.component.hooks.add_tick(period, tick);
    }

    /// Ends the mounting.
    pub fn done(self) {
        self.mount.add_component((self.into_component)(self.component), self.needs);
    }
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
