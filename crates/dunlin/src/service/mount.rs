//! How a service tells an application what it serves. `#[service]` writes the only usual caller.

use std::any::Any;
use std::sync::Arc;

use super::entry::{RouteInfo, RouteKind};
use super::lifecycle::Component;
use super::parts::Needs;
use super::serial::{self, SerialMount};
use super::shared::SharedMount;
use super::start::RouteFn;
use super::{Call, ServiceSet};
use crate::error::{Error, Result};
use crate::serializer::SerializerKind;

/// A value whose methods answer calls. Implemented by `#[service]` on an `impl` block.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service",
    label = "not a service",
    note = "write `#[dunlin::service]` above one `impl {Self} {{ .. }}` block with its `#[request]` methods"
)]
pub trait Service: Sized + Send + 'static {
    /// The part of its routes before the last dot.
    const NAME: &'static str;

    /// Hands its routes and hooks to the application.
    fn mount(self, mount: Mount<'_>);
}

/// The place a service puts its routes into.
#[derive(Debug)]
pub struct Mount<'a> {
    set: &'a mut ServiceSet,
    name: Arc<str>,
}

/// One route of a service.
#[derive(Debug, Clone, Copy)]
pub struct RouteSpec {
    /// The part of the route's name after the last dot.
    pub method: &'static str,
    /// How clients are meant to call it.
    pub kind: RouteKind,
    /// Whether calls of one session may run at the same time.
    pub is_concurrent: bool,
    /// Whether a call may be handled twice.
    pub is_idempotent: bool,
    /// Whether only nodes of the cluster may call it.
    pub is_internal: bool,
    /// The handler's documentation.
    pub docs: &'static str,
    /// Tells what its arguments and its answer need.
    pub needs: fn(&mut Needs),
    /// Makes the function that answers its calls.
    pub function: fn() -> Arc<dyn RouteFn>,
}

/// A route on its way into the application. Public only as part of a hidden signature.
#[expect(missing_debug_implementations, reason = "nobody outside can name it")]
pub struct PendingRoute {
    pub(super) name: String,
    pub(super) kind: RouteKind,
    pub(super) is_concurrent: bool,
    pub(super) is_serial: bool,
    pub(super) is_idempotent: bool,
    pub(super) is_internal: bool,
    pub(super) docs: &'static str,
    pub(super) needs: Needs,
    pub(super) function: Arc<dyn RouteFn>,
    pub(super) service: Arc<dyn Any + Send + Sync>,
    pub(super) serializer: Option<SerializerKind>,
}

impl PendingRoute {
    pub(super) fn info(&self) -> RouteInfo {
        RouteInfo {
            name: self.name.as_str().into(),
            kind: self.kind,
            is_concurrent: self.is_concurrent,
            is_serial: self.is_serial,
            is_idempotent: self.is_idempotent,
            is_internal: self.is_internal,
            payload_type: self.needs.payload.map(|value| value.name),
            reply_type: self.needs.reply.map(|value| value.name),
            docs: self.docs,
        }
    }
}

/// What of a route does not come from its [`RouteSpec`].
pub(super) struct RouteOwner {
    pub(super) service: Arc<dyn Any + Send + Sync>,
    pub(super) serializer: Option<SerializerKind>,
    pub(super) is_serial: bool,
}

impl<'a> Mount<'a> {
    pub(super) fn new(set: &'a mut ServiceSet, name: Arc<str>) -> Self {
        Self { set, name }
    }

    /// Mounts a service whose handlers take `&self` and run whenever they are called.
    #[must_use]
    pub fn shared<S: Service + Sync>(self, service: S) -> SharedMount<'a, S> {
        SharedMount::new(self, service)
    }

    /// Mounts a service whose handlers take `&mut self` and run one at a time, behind a mailbox of `mailbox` calls.
    #[must_use]
    pub fn serial<S: Service>(self, service: S, mailbox: usize) -> SerialMount<'a, S> {
        SerialMount::new(self, service, mailbox)
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn add_route(&mut self, spec: &RouteSpec, owner: RouteOwner) {
        let mut needs = Needs::default();
        (spec.needs)(&mut needs);
        self.set.routes.push(PendingRoute {
            name: format!("{}.{}", self.name, spec.method),
            kind: spec.kind,
            is_concurrent: spec.is_concurrent,
            is_serial: owner.is_serial,
            is_idempotent: spec.is_idempotent,
            is_internal: spec.is_internal,
            docs: spec.docs,
            needs,
            function: (spec.function)(),
            service: owner.service,
            serializer: owner.serializer,
        });
    }

    pub(super) fn add_component(self, component: Box<dyn Component>, needs: Needs) {
        self.set.components.push(super::set::PendingComponent { component, needs });
    }
}

/// The service a call is for.
///
/// # Errors
///
/// Code 500 when the route was mounted by another service, which generated code does not do.
#[inline]
pub fn service_of<S: Send + Sync + 'static>(call: &Call) -> Result<&S> {
    call.entry()
        .service()
        .ok_or_else(|| Error::internal("internal error").with_cause("a route of another service"))
}

/// Runs `work` on the serial service a call is for, when its turn comes, and waits for the outcome.
///
/// # Errors
///
/// [`Error`] when the mailbox is full, the service has stopped, or `work` panicked or took too long.
///
/// # Cancel safety
///
/// Dropped before its turn has come, `work` does not run; afterwards it runs to its end.
pub async fn ask<S, R, F>(call: &Call, work: F) -> Result<R>
where
    S: Send + 'static,
    R: Send + 'static,
    F: for<'a> FnOnce(&'a mut S) -> super::BoxFuture<'a, R> + Send + 'static,
{
    service_of::<serial::Mailbox<S>>(call)?.ask(work).await
}
