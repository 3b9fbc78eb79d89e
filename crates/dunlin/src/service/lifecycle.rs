//! The life of the services of one application: every `init` in the order of registration, then every `after_init`;
//! at the end every `before_shutdown` in reverse order, then every `shutdown`.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::parts::AppParts;
use super::{BoxFuture, contain};
use crate::error::{Chain, Error, Result};

/// A step in the life of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Before any client is served; the services registered later are not yet initialised.
    Init,
    /// Every service is initialised.
    AfterInit,
    /// The application is stopping; every service still works.
    BeforeShutdown,
    /// Services registered later are gone already.
    Shutdown,
}

/// Why an application did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A hook of a service failed.
    #[error("service `{service}` failed in {stage:?}")]
    Hook {
        /// The service.
        service: Arc<str>,
        /// The step it failed in.
        stage: Stage,
        /// What the hook said.
        source: Error,
    },
}

/// One service as its life is driven.
pub(super) trait Component: Send + 'static {
    fn name(&self) -> &Arc<str>;

    /// Begins whatever the service runs in the background; called before all stages.
    fn start(&mut self, parts: &Arc<AppParts>) -> Result<()>;

    /// Runs the hooks of a stage.
    fn enter(&mut self, stage: Stage) -> BoxFuture<'_, Result<()>>;

    /// Begins to take calls and to tick; called after all services have been through [`Stage::AfterInit`].
    fn open(&mut self) -> BoxFuture<'_, Result<()>>;

    /// Ends what `start` began; called when [`Stage::Init`] failed, so that no other hook runs.
    fn abandon(&mut self);
}

/// Starts and stops the services of one application.
pub(crate) struct Lifecycle {
    parts: Arc<AppParts>,
    components: Vec<Box<dyn Component>>,
    /// So many components, from the first on, have been initialised.
    started: usize,
}

impl Lifecycle {
    pub(super) fn new(parts: Arc<AppParts>, components: Vec<Box<dyn Component>>) -> Self {
        Self { parts, components, started: 0 }
    }

    /// What the services share.
    pub(crate) const fn parts(&self) -> &Arc<AppParts> {
        &self.parts
    }

    /// Starts all services on the runtime this is called on. When one fails, those before it are stopped again.
    ///
    /// # Errors
    ///
    /// [`StartError`] with the hook that failed.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, some services are started; call [`shutdown`](Self::shutdown).
    pub(crate) async fn start(&mut self, deadline: Instant) -> Result<(), StartError> {
        self.parts.tasks.start();
        let started = self.try_start(deadline).await;
        if started.is_err() {
            self.before_shutdown(deadline).await;
            self.shutdown(deadline).await;
        }
        started
    }

    async fn try_start(&mut self, deadline: Instant) -> Result<(), StartError> {
        for component in &mut self.components {
            component.start(&self.parts).map_err(|source| failed(&**component, Stage::Init, source))?;
            if let Err(error) = enter(&mut **component, Stage::Init, deadline).await {
                component.abandon();
                return Err(error);
            }
            self.started += 1;
        }
        for component in &mut self.components {
            enter(&mut **component, Stage::AfterInit, deadline).await?;
        }
        for component in &mut self.components {
            let opened = component.open().await;
            opened.map_err(|source| failed(&**component, Stage::AfterInit, source))?;
        }
        Ok(())
    }

    /// Tells all services that were started that the end is near; they still work. Failures are logged, and what is
    /// not done at `deadline` is given up.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it has told some services.
    pub(crate) async fn before_shutdown(&mut self, deadline: Instant) {
        self.leave(Stage::BeforeShutdown, deadline).await;
    }

    /// Ends all services that were started, then the application's timers and every background task. Failures are
    /// logged, and what is not done at `deadline` is given up. A second call finds nothing to do.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, some services have ended; background tasks may go on.
    pub(crate) async fn shutdown(&mut self, deadline: Instant) {
        self.leave(Stage::Shutdown, deadline).await;
        self.started = 0;
        self.parts.timers.end();
        let aborted = self.parts.tasks.end(deadline).await;
        if aborted > 0 {
            tracing::warn!(aborted, "background tasks outlasted the deadline and were aborted");
        }
    }

    async fn leave(&mut self, stage: Stage, deadline: Instant) {
        for component in self.components.iter_mut().take(self.started).rev() {
            if let Err(error) = enter(&mut **component, stage, deadline).await {
                tracing::error!(error = %Chain(&error), "a service did not stop as it should");
            }
        }
    }
}

async fn enter(component: &mut dyn Component, stage: Stage, deadline: Instant) -> Result<(), StartError> {
    let outcome = match timeout_at(deadline, contain("hook", component.enter(stage))).await {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Err(Error::internal("the hook panicked")),
        Err(_) => Err(Error::timeout("the hook did not end in time")),
    };
    outcome.map_err(|source| failed(component, stage, source))
}

fn failed(component: &dyn Component, stage: Stage, source: Error) -> StartError {
    StartError::Hook { service: component.name().clone(), stage, source }
}

impl std::fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lifecycle")
            .field("components", &self.components.len())
            .field("started", &self.started)
            .finish_non_exhaustive()
    }
}
