//! The services of an application before it runs: collected, checked, and made into a router.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use dunlin_wire::ROUTE_LEN_MAX;
use hashbrown::HashSet;
use tower_layer::Layer;

use super::call::{Call, Handler, Reply};
use super::closure::{HandlerFn, NotifyFn, RouteOptions};
use super::entry::{RouteEntry, RouteInfo, service_name};
use super::layer::CallService;
use super::lifecycle::{Component, Lifecycle};
use super::meter::MeterCell;
use super::mount::{Mount, PendingRoute, Service};
use super::parts::{AppParts, CALL_TIMEOUT_DEFAULT, Needs, States};
use super::push_filter::{PushFilter, PushFilters};
use super::router::Router;
use crate::error::{Error, ErrorEncoder};
use crate::group::Groups;
use crate::serializer::SerializerKind;

/// Why an application could not be built of its services.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two handlers have the same route.
    #[error("route `{route}` is served twice")]
    DuplicateRoute {
        /// The route.
        route: String,
    },
    /// A route's name is empty or does not fit a message.
    #[error("route `{route}` of {} bytes is not 1 to {ROUTE_LEN_MAX} bytes long", route.len())]
    RouteLength {
        /// The route.
        route: String,
    },
    /// A handler or hook takes a state that the application was not given.
    #[error("`{user}` takes `State<{type_name}>`, which the application was not given: add `.state(..)`")]
    MissingState {
        /// The route or service.
        user: String,
        /// The type of the state.
        type_name: &'static str,
    },
    /// The application speaks protobuf and a handler takes or answers a type that is no protobuf message.
    #[error(
        "route `{route}` uses `{type_name}` under protobuf: take and answer `Proto<T>`, or give its service another serializer"
    )]
    NotProtobuf {
        /// The route.
        route: String,
        /// The type of the payload or the answer.
        type_name: &'static str,
    },
}

/// A service with a life, and what its hooks need.
pub(super) struct PendingComponent {
    pub(super) component: Box<dyn Component>,
    pub(super) needs: Needs,
}

type AddLayer = Box<dyn FnOnce(CallService) -> CallService + Send>;

/// The part of an application's builder that has to do with services.
pub struct ServiceSet {
    pub(super) routes: Vec<PendingRoute>,
    pub(super) components: Vec<PendingComponent>,
    states: States,
    layers: Vec<AddLayer>,
    filters: PushFilters,
    serializer: SerializerKind,
    errors: ErrorEncoder,
    fallback: Option<Arc<dyn Handler>>,
    call_timeout: Duration,
}

/// What a set of services becomes.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) router: Router,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) push_filters: PushFilters,
    pub(crate) serializer: SerializerKind,
    pub(crate) errors: ErrorEncoder,
    #[cfg(test)]
    pub(super) parts: Arc<AppParts>,
}

impl ServiceSet {
    /// No services; JSON.
    #[must_use]
    pub fn new() -> Self {
        Self {
            routes: Vec::new(),
            components: Vec::new(),
            states: States::default(),
            layers: Vec::new(),
            filters: PushFilters::default(),
            serializer: SerializerKind::Json,
            errors: ErrorEncoder::default(),
            fallback: None,
            call_timeout: CALL_TIMEOUT_DEFAULT,
        }
    }

    /// Adds a service under its own name.
    pub fn service<S: Service>(&mut self, service: S) {
        self.service_as(S::NAME, service);
    }

    /// Adds a service under another name, so that several values of one type can be served.
    pub fn service_as<S: Service>(&mut self, name: &str, service: S) {
        service.mount(Mount::new(self, name.into()));
    }

    /// Answers the requests of a route with a closure or function.
    pub fn route<Args, H: HandlerFn<Args>>(&mut self, name: impl Into<String>, handler: H) {
        self.routes.push(handler.pending(name.into(), RouteOptions::default()));
    }

    /// As [`route`](Self::route), with options.
    pub fn route_with<Args, H: HandlerFn<Args>>(
        &mut self,
        name: impl Into<String>,
        options: RouteOptions,
        handler: H,
    ) {
        self.routes.push(handler.pending(name.into(), options));
    }

    /// Takes the notifies of a route with a closure or function.
    pub fn notify_route<Args, H: NotifyFn<Args>>(&mut self, name: impl Into<String>, handler: H) {
        self.routes.push(handler.pending(name.into(), RouteOptions::default()));
    }

    /// As [`notify_route`](Self::notify_route), with options.
    pub fn notify_route_with<Args, H: NotifyFn<Args>>(
        &mut self,
        name: impl Into<String>,
        options: RouteOptions,
        handler: H,
    ) {
        self.routes.push(handler.pending(name.into(), options));
    }

    /// Forgets the services added so far for which `is_kept` is false of their names, with their lives.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&str) -> bool) {
        self.routes.retain(|route| is_kept(service_name(&route.name)));
        self.components.retain(|pending| is_kept(pending.component.name()));
    }

    /// Keeps a state for handlers to take as `State<T>`, one for each type.
    pub fn state<T: Send + Sync + 'static>(&mut self, state: T) {
        self.states.set(state);
    }

    /// Puts a layer around every call. The layer added first sees a call first.
    pub fn layer<L>(&mut self, layer: L)
    where
        L: Layer<CallService> + Send + 'static,
        L::Service: tower_service::Service<Call, Response = Reply> + Clone + Send + Sync + 'static,
        <L::Service as tower_service::Service<Call>>::Error: Into<Error>,
        <L::Service as tower_service::Service<Call>>::Future: Send,
    {
        self.layers.push(Box::new(move |inner| inner.wrapped(&layer)));
    }

    /// Sets the serializer of all services that do not choose their own.
    pub fn serializer(&mut self, serializer: impl Into<SerializerKind>) {
        self.serializer = serializer.into();
    }

    /// Puts a filter before every push. The filter added first sees a push first.
    pub fn push_filter(&mut self, filter: impl PushFilter) {
        self.filters.add(filter);
    }

    /// Writes the bodies of errors for all clients but pitaya's, which have a form of their own.
    pub fn error_body(&mut self, body: impl Fn(&Error) -> serde_json::Value + Send + Sync + 'static) {
        self.errors.set_custom(body);
    }

    /// Takes the calls to all routes that no service has.
    pub fn fallback(&mut self, handler: impl Handler) {
        self.fallback = Some(Arc::new(handler));
    }

    /// How long a serial service works on one call before it gives it up and turns to the next.
    pub fn call_timeout(&mut self, timeout: Duration) {
        self.call_timeout = timeout;
    }

    /// Checks everything and makes it into a router.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with the first thing that could not work.
    pub(crate) fn build(self, groups: Groups) -> Result<Services, BuildError> {
        self.check()?;
        let parts = Arc::new(AppParts::new(self.states, groups, self.call_timeout));
        let entries = self.routes.into_iter().enumerate();
        let entries: Box<[_]> = entries
            .map(|(place, pending)| Arc::new(entry_of(place, pending, &self.serializer, &parts)))
            .collect();
        let by_name = entries.iter().map(|entry| Arc::from(entry.name().clone())).zip(0..).collect();
        let layers = self.layers.into_iter().rev().fold(CallService::handler(), |inner, add| add(inner));
        let components = self.components.into_iter().map(|pending| pending.component).collect();
        Ok(Services {
            #[cfg(test)]
            parts: parts.clone(),
            router: Router {
                entries,
                by_name,
                last: AtomicUsize::new(0),
                layers,
                fallback: self.fallback,
                serializer: self.serializer.clone(),
                parts: parts.clone(),
            },
            lifecycle: Lifecycle::new(parts, components),
            push_filters: self.filters,
            serializer: self.serializer,
            errors: self.errors,
        })
    }

    /// What tools may know of the routes, sorted by name.
    ///
    /// # Errors
    ///
    /// [`BuildError`] as [`build`](Self::build) would give it.
    pub(crate) fn infos(&self) -> Result<Vec<Arc<RouteInfo>>, BuildError> {
        self.check()?;
        let mut infos: Vec<_> = self.routes.iter().map(|pending| Arc::new(pending.info())).collect();
        infos.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(infos)
    }

    fn check(&self) -> Result<(), BuildError> {
        for PendingComponent { component, needs } in &self.components {
            self.check_states(needs, component.name())?;
        }
        let mut names = HashSet::with_hasher(foldhash::fast::RandomState::default());
        for route in &self.routes {
            self.check_route(route)?;
            if !names.insert(&*route.name) {
                return Err(BuildError::DuplicateRoute { route: route.name.clone() });
            }
        }
        Ok(())
    }

    fn check_route(&self, route: &PendingRoute) -> Result<(), BuildError> {
        if route.name.is_empty() || route.name.len() > ROUTE_LEN_MAX {
            return Err(BuildError::RouteLength { route: route.name.clone() });
        }
        self.check_states(&route.needs, &route.name)?;
        let serializer = route.serializer.as_ref().unwrap_or(&self.serializer);
        if matches!(serializer, SerializerKind::Protobuf) {
            let mut values = route.needs.payload.iter().chain(&route.needs.reply);
            if let Some(value) = values.find(|value| value.is_serde) {
                return Err(BuildError::NotProtobuf { route: route.name.clone(), type_name: value.name });
            }
        }
        Ok(())
    }

    fn check_states(&self, needs: &Needs, user: &str) -> Result<(), BuildError> {
        match needs.states.iter().find(|(id, _)| !self.states.contains(*id)) {
            Some((_, type_name)) => Err(BuildError::MissingState { user: user.to_owned(), type_name }),
            None => Ok(()),
        }
    }
}

fn entry_of(
    place: usize,
    pending: PendingRoute,
    serializer: &SerializerKind,
    parts: &Arc<AppParts>,
) -> RouteEntry {
    RouteEntry {
        info: Arc::new(pending.info()),
        function: pending.function,
        place: Some(place),
        service: pending.service,
        serializer: pending.serializer.unwrap_or_else(|| serializer.clone()),
        parts: parts.clone(),
        is_forwarded: false,
        meter: MeterCell::default(),
    }
}

impl Default for ServiceSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ServiceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceSet")
            .field("routes", &self.routes.len())
            .field("services", &self.components.len())
            .field("layers", &self.layers.len())
            .field("serializer", &self.serializer)
            .finish_non_exhaustive()
    }
}
