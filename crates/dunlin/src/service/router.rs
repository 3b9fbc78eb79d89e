//! From a route's name to its handler.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use dunlin_wire::RouteDictionary;
use hashbrown::HashMap;

use super::call::{Call, CallFuture, CallKind, Handler};
use super::entry::{RouteEntry, RouteInfo, RouteKind};
use super::layer::CallService;
use super::parts::AppParts;
use crate::error::Error;
use crate::serializer::SerializerKind;
use crate::session::Session;

/// The routes of a node. Each shard has a copy of its own, see [`Router::for_shard`].
pub(crate) struct Router {
    pub(super) routes: HashMap<Arc<str>, Arc<RouteEntry>, foldhash::fast::RandomState>,
    pub(super) layers: CallService,
    pub(super) fallback: Option<Arc<dyn Handler>>,
    pub(super) serializer: SerializerKind,
    pub(super) parts: Arc<AppParts>,
}

impl Router {
    /// A copy whose reference counts no other shard touches.
    pub(crate) fn for_shard(&self) -> Self {
        let routes = self.routes.values();
        Self {
            routes: routes.map(|entry| (entry.name().clone(), Arc::new(RouteEntry::clone(entry)))).collect(),
            layers: self.layers.clone(),
            fallback: self.fallback.clone(),
            serializer: self.serializer.clone(),
            parts: self.parts.clone(),
        }
    }

    /// The route of that very name, if this node serves it.
    #[inline]
    pub(crate) fn lookup(&self, name: &str) -> Option<&Arc<RouteEntry>> {
        self.routes.get(name)
    }

    /// A route that this node does not serve itself, if something takes such calls.
    pub(crate) fn fallback(&self, name: &str) -> Option<Arc<RouteEntry>> {
        let fallback = self.fallback.clone()?;
        Some(Arc::new(RouteEntry {
            info: Arc::new(RouteInfo {
                name: name.into(),
                kind: RouteKind::Request,
                is_concurrent: false,
                is_serial: false,
                payload_type: None,
                reply_type: None,
                docs: "",
            }),
            call: call_fallback,
            service: Arc::new(fallback),
            serializer: self.serializer.clone(),
            parts: self.parts.clone(),
        }))
    }

    /// The routes by their dictionary codes, for the codes whose routes this node serves.
    pub(crate) fn resolve_dictionary(&self, dictionary: &RouteDictionary) -> RoutesByCode {
        let mut by_code = Vec::new();
        for (name, code) in dictionary.iter() {
            let Some(entry) = self.lookup(name) else { continue };
            let at = usize::from(code);
            if by_code.len() <= at {
                by_code.resize(at + 1, None);
            }
            if let Some(slot) = by_code.get_mut(at) {
                *slot = Some(entry.clone());
            }
        }
        RoutesByCode(by_code.into())
    }

    /// The future that answers one call. Without layers it is the handler's own.
    #[inline]
    pub(crate) fn call(
        &self,
        entry: &Arc<RouteEntry>,
        session: Session,
        kind: CallKind,
        body: Bytes,
    ) -> CallFuture {
        self.layers.dispatch(Call::new(session, entry.clone(), kind, body))
    }

    /// All routes, sorted by name.
    pub(crate) fn infos(&self) -> Vec<Arc<RouteInfo>> {
        let mut infos: Vec<_> = self.routes.values().map(|entry| entry.info().clone()).collect();
        infos.sort_by(|a, b| a.name.cmp(&b.name));
        infos
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("routes", &self.routes.len())
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

fn call_fallback(call: Call) -> CallFuture {
    // Within the future, so that whoever polls it contains a panic of the handler.
    Box::pin(async move {
        match call.entry().service::<Arc<dyn Handler>>().cloned() {
            Some(fallback) => fallback.call(call).await,
            None => Err(Error::not_found("nobody serves this route")),
        }
    })
}

/// Routes by dictionary code: a lookup is an index.
#[derive(Debug, Clone, Default)]
pub(crate) struct RoutesByCode(Box<[Option<Arc<RouteEntry>>]>);

impl RoutesByCode {
    /// The route of a code, if this node serves it.
    #[inline]
    pub(crate) fn get(&self, code: u16) -> Option<&Arc<RouteEntry>> {
        self.0.get(usize::from(code))?.as_ref()
    }
}
