//! One route of a node: what is known of it, and what answers it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::call::{Call, CallFuture};
use super::meter::{MeterCell, RouteMeter, label};
use super::parts::AppParts;
use super::start::RouteFn;
use crate::serializer::SerializerKind;

/// How clients are meant to call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RouteKind {
    /// It answers. Called as a notify, it runs and the answer is dropped.
    Request,
    /// It does not answer. Called as a request, it is answered with an empty value once it is done.
    Notify,
}

/// What tools may know of a route.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RouteInfo {
    /// The route's name, as clients send it.
    #[serde(serialize_with = "as_str")]
    pub name: Arc<str>,
    /// How clients are meant to call it.
    pub kind: RouteKind,
    /// Whether calls of one session may run at the same time.
    pub is_concurrent: bool,
    /// Whether calls of all sessions run one after another.
    pub is_serial: bool,
    /// Whether a call may be handled twice, when the node that had it first is lost.
    pub is_idempotent: bool,
    /// Whether only nodes of the cluster may call it. To clients it is a route that nobody serves.
    pub is_internal: bool,
    /// The Rust type of the payload, if the handler reads it as one.
    pub payload_type: Option<&'static str>,
    /// The Rust type of the answer, if it is one.
    pub reply_type: Option<&'static str>,
    /// The documentation of the handler.
    pub docs: &'static str,
}

impl RouteInfo {
    /// The name of its service.
    #[must_use]
    pub fn service(&self) -> &str {
        service_name(&self.name)
    }
}

/// The service of a route: what stands before its last dot.
pub(crate) fn service_name(route: &str) -> &str {
    route.rsplit_once('.').map_or(route, |(service, _)| service)
}

fn as_str<S: serde::Serializer>(name: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name)
}

/// One route and what answers it. It is shared by the calls of one shard only, so that shards do not contend for
/// its reference count.
pub(crate) struct RouteEntry {
    pub(super) info: Arc<RouteInfo>,
    pub(super) function: Arc<dyn RouteFn>,
    /// Its place among the routes of the node; `None` when it is none of them.
    pub(super) place: Option<usize>,
    /// The service behind the route; a closure is in its function.
    pub(super) service: Arc<dyn Any + Send + Sync>,
    pub(super) serializer: SerializerKind,
    pub(super) parts: Arc<AppParts>,
    /// Another node answers: a call begins in its turn, and the next one need not wait for its answer.
    pub(super) is_forwarded: bool,
    /// What its calls are counted by, if they are.
    pub(super) meter: MeterCell,
}

impl RouteEntry {
    /// A copy whose reference counts no other shard touches.
    pub(super) fn for_shard(&self) -> Self {
        Self {
            info: self.info.clone(),
            function: self.function.for_shard(),
            place: self.place,
            service: self.service.clone(),
            serializer: self.serializer.clone(),
            parts: self.parts.clone(),
            is_forwarded: self.is_forwarded,
            meter: MeterCell::default(),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.info.name
    }

    pub(crate) fn info(&self) -> &Arc<RouteInfo> {
        &self.info
    }

    /// What its calls are counted by, as those of the node of this name.
    pub(super) fn meter(&self, node: &str) -> &RouteMeter {
        self.meter.get(node, || label(self.name(), self.place.is_some(), self.is_forwarded))
    }

    /// Whether the calls of one session to this route may run at the same time.
    pub(crate) fn is_concurrent(&self) -> bool {
        self.info.is_concurrent
    }

    /// Whether clients are told that nobody serves it.
    pub(crate) fn is_internal(&self) -> bool {
        self.info.is_internal
    }

    /// Whether the session's next ordered call waits for the end of one to this route.
    pub(crate) fn keeps_its_turn(&self) -> bool {
        !self.info.is_concurrent && !self.is_forwarded
    }

    pub(crate) fn serializer(&self) -> &SerializerKind {
        &self.serializer
    }

    pub(crate) fn parts(&self) -> &Arc<AppParts> {
        &self.parts
    }

    /// The service behind the route. `None` would mean that the route was built with another type than its function.
    pub(crate) fn service<S: Any>(&self) -> Option<&S> {
        self.service.downcast_ref()
    }

    /// Hands a call to the handler, past all layers.
    pub(crate) fn handle(call: Call) -> CallFuture {
        let function = call.entry().function.clone();
        function.call(call)
    }
}

impl fmt::Debug for RouteEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.info, f)
    }
}
