//! From a route's name to its handler.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dunlin_wire::RouteDictionary;
use hashbrown::HashMap;

use super::call::{Call, CallFuture, Handler, Reply};
use super::entry::{RouteEntry, RouteInfo, RouteKind};
use super::layer::CallService;
use super::meter::MeterCell;
use super::parts::AppParts;
use super::start::{RouteFn, Started, Starters, route_fn};
use crate::error::{Error, Result};
use crate::serializer::SerializerKind;

/// The routes of a node. Each shard has a copy of its own, see [`Router::for_shard`].
pub(crate) struct Router {
    pub(super) entries: Box<[Arc<RouteEntry>]>,
    /// Their places by the bytes of their names: a name that is found need not be checked to be text.
    pub(super) by_name: HashMap<Arc<[u8]>, usize, foldhash::fast::RandomState>,
    /// The place that was looked up last.
    pub(super) last: AtomicUsize,
    pub(super) layers: CallService,
    pub(super) fallback: Option<Arc<dyn Handler>>,
    pub(super) serializer: SerializerKind,
    pub(super) parts: Arc<AppParts>,
}

impl Router {
    /// A copy whose reference counts no other shard touches.
    pub(crate) fn for_shard(&self) -> Self {
        Self {
            entries: self.entries.iter().map(|entry| Arc::new(entry.for_shard())).collect(),
            by_name: self.by_name.clone(),
            last: AtomicUsize::new(0),
            layers: self.layers.clone(),
            fallback: self.fallback.clone(),
            serializer: self.serializer.clone(),
            parts: self.parts.clone(),
        }
    }

    /// The route of that very name, if this node serves it. The one before is tried first: clients repeat themselves, and
    /// a comparison that comes out as the last time keeps nothing waiting, as a hash would.
    #[inline]
    pub(crate) fn lookup(&self, name: &[u8]) -> Option<&Arc<RouteEntry>> {
        match self.entries.get(self.last.load(Ordering::Relaxed)) {
            Some(entry) if entry.name().as_bytes() == name => Some(entry),
            _ => self.lookup_anew(name),
        }
    }

    fn lookup_anew(&self, name: &[u8]) -> Option<&Arc<RouteEntry>> {
        let place = *self.by_name.get(name)?;
        self.last.store(place, Ordering::Relaxed);
        self.entries.get(place)
    }

    /// The same with other functions for the routes for which `change` has one.
    pub(crate) fn with_functions(
        mut self,
        change: impl Fn(&RouteInfo, Arc<dyn RouteFn>) -> Option<Arc<dyn RouteFn>>,
    ) -> Self {
        for entry in &mut self.entries {
            if let Some(function) = change(&entry.info, entry.function.clone()) {
                *entry = Arc::new(RouteEntry { function, ..entry.for_shard() });
            }
        }
        self
    }

    /// A route that this node does not serve itself, if something takes such calls.
    pub(crate) fn fallback(&self, name: &str) -> Option<Arc<RouteEntry>> {
        let fallback = self.fallback.clone()?;
        Some(self.entry_of(name, route_fn(call_fallback), Arc::new(fallback)))
    }

    /// A route that another node serves: `function` forwards its calls.
    pub(crate) fn forwarded(&self, name: &str, function: Arc<dyn RouteFn>) -> Arc<RouteEntry> {
        let mut entry = self.entry_of(name, function, Arc::new(()));
        if let Some(entry) = Arc::get_mut(&mut entry) {
            entry.is_forwarded = true;
        }
        entry
    }

    fn entry_of(
        &self,
        name: &str,
        function: Arc<dyn RouteFn>,
        service: Arc<dyn Any + Send + Sync>,
    ) -> Arc<RouteEntry> {
        Arc::new(RouteEntry {
            info: Arc::new(RouteInfo {
                name: name.into(),
                kind: RouteKind::Request,
                is_concurrent: false,
                is_serial: false,
                is_idempotent: false,
                is_internal: false,
                payload_type: None,
                reply_type: None,
                docs: "",
            }),
            function,
            place: None,
            service,
            serializer: self.serializer.clone(),
            parts: self.parts.clone(),
            is_forwarded: false,
            meter: MeterCell::default(),
        })
    }

    /// The routes by their dictionary codes, for the codes whose routes this node serves.
    pub(crate) fn resolve_dictionary(&self, dictionary: &RouteDictionary) -> RoutesByCode {
        let mut by_code = Vec::new();
        for (name, code) in dictionary.iter() {
            let Some(entry) = self.lookup(name.as_bytes()) else { continue };
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

    /// What begins the calls of one shard.
    pub(crate) fn starters(&self) -> Starters {
        Starters::new(self.entries.iter().map(|entry| entry.function.clone()))
    }

    /// Begins one call and polls it once. Without layers its future is the handler's own.
    #[inline]
    pub(crate) fn start(&self, call: Call, starters: &mut Starters) -> Started<Result<Reply>> {
        match call.entry().place.and_then(|place| starters.get_mut(place)) {
            Some(starter) if self.layers.is_handler() => starter.start(call),
            _ => Started::polled(self.layers.dispatch(call)),
        }
    }

    /// One call from its beginning to its end, for those who have no place of a shard's to put it in.
    pub(crate) fn run(&self, call: Call) -> CallFuture {
        self.layers.dispatch(call)
    }

    /// All routes, sorted by name.
    pub(crate) fn infos(&self) -> Vec<Arc<RouteInfo>> {
        let mut infos: Vec<_> = self.entries.iter().map(|entry| entry.info().clone()).collect();
        infos.sort_by(|a, b| a.name.cmp(&b.name));
        infos
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("routes", &self.entries.len())
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

async fn call_fallback(call: Call) -> Result<Reply> {
    match call.entry().service::<Arc<dyn Handler>>().cloned() {
        Some(fallback) => fallback.call(call).await,
        None => Err(Error::not_found("nobody serves this route")),
    }
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
