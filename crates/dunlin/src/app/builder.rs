//! [`App`]: services, layers, state, hooks and limits, put together and then served.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dunlin_cluster::ClusterConfig;
use dunlin_cluster::core::Policy;
use dunlin_registry::nodes::NodeRecord;
use dunlin_wire::{ClientConfig, HandshakeRequest, RouteDictionary};
use tokio::sync::OnceCell;

use super::admission::Validate;
use super::node::Node;
use super::page::{Page, Pages};
use super::{Admission, ConnectError, GateConfig, Hooks, LocalClient, ServeError, StartError, start};
use crate::cluster::Dispatch;
use crate::edge::Listen;
use crate::error::Error;
use crate::serializer::SerializerKind;
use crate::service::{
    Call, CallService, Handler, HandlerFn, NotifyFn, PushFilter, Reply, RouteInfo, RouteOptions, Service,
    ServiceSet,
};
use crate::session::{CloseReason, Session};

/// An application: its services and how they are served.
///
/// ```no_run
/// use dunlin::{App, Raw};
///
/// # async fn run() -> Result<(), dunlin::ServeError> {
/// App::new()
///     .route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) })
///     .serve("127.0.0.1:3250")
///     .await
/// # }
/// ```
pub struct App {
    /// Taken out when the application is started.
    parts: Mutex<Option<Box<Parts>>>,
    /// The application as it runs inside this process, started by [`App::connect`].
    local: OnceCell<Arc<Node>>,
}

/// What an application is made of.
pub(super) struct Parts {
    pub(super) services: ServiceSet,
    pub(super) config: GateConfig,
    pub(super) listens: Vec<Listen>,
    pub(super) hooks: Hooks,
    pub(super) pages: Pages,
    pub(super) dictionary: Vec<(String, u16)>,
    pub(super) validator: Option<Arc<dyn Validate>>,
    pub(super) cluster: Option<Box<ClusterConfig>>,
    pub(super) dispatch: HashMap<String, Dispatch>,
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl App {
    /// An application without services.
    #[must_use]
    pub fn new() -> Self {
        let parts = Parts {
            services: ServiceSet::new(),
            config: GateConfig::default(),
            listens: Vec::new(),
            hooks: Hooks::default(),
            pages: Pages::new(),
            dictionary: Vec::new(),
            validator: None,
            cluster: None,
            dispatch: HashMap::new(),
        };
        Self { parts: Mutex::new(Some(Box::new(parts))), local: OnceCell::new() }
    }

    fn with(mut self, change: impl FnOnce(&mut Parts)) -> Self {
        if let Some(parts) = self.parts.get_mut().unwrap_or_else(PoisonError::into_inner) {
            change(parts);
        }
        self
    }

    /// Adds a service made by `#[service]`.
    #[must_use]
    pub fn service<S: Service>(self, service: S) -> Self {
        self.with(|parts| parts.services.service(service))
    }

    /// Adds a service under another name, so that several values of one type can be served.
    #[must_use]
    pub fn service_as<S: Service>(self, name: &str, service: S) -> Self {
        self.with(|parts| parts.services.service_as(name, service))
    }

    /// Adds a route answered by a closure over extractors.
    #[must_use]
    pub fn route<Args, H: HandlerFn<Args>>(self, name: &str, handler: H) -> Self {
        self.with(|parts| parts.services.route(name, handler))
    }

    /// Adds a route with options, such as one whose calls may run at the same time.
    #[must_use]
    pub fn route_with<Args, H: HandlerFn<Args>>(self, name: &str, options: RouteOptions, handler: H) -> Self {
        self.with(|parts| parts.services.route_with(name, options, handler))
    }

    /// Adds a route for notifies, taken by a closure over extractors.
    #[must_use]
    pub fn notify_route<Args, H: NotifyFn<Args>>(self, name: &str, handler: H) -> Self {
        self.with(|parts| parts.services.notify_route(name, handler))
    }

    /// Keeps of the services added so far only those of these names, so that one program can be several kinds of node.
    #[must_use]
    pub fn only<'a>(self, services: impl IntoIterator<Item = &'a str>) -> Self {
        let kept: Vec<&str> = services.into_iter().collect();
        self.with(|parts| parts.services.retain(|name| kept.contains(&name)))
    }

    /// Takes the calls of all routes that no service has. Without it they are answered with code 404.
    #[must_use]
    pub fn fallback(self, handler: impl Handler) -> Self {
        self.with(|parts| parts.services.fallback(handler))
    }

    /// Gives handlers a value to take as [`State`](crate::State).
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(self, state: T) -> Self {
        self.with(|parts| parts.services.state(state))
    }

    /// How payloads are written and read, for services that do not say it themselves. Default JSON.
    #[must_use]
    pub fn serializer(self, serializer: impl Into<SerializerKind>) -> Self {
        self.with(|parts| parts.services.serializer(serializer))
    }

    /// Wraps every call in a tower layer. The one given first sees a call first.
    #[must_use]
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: tower_layer::Layer<CallService> + Send + 'static,
        L::Service: tower_service::Service<Call, Response = Reply> + Clone + Send + Sync + 'static,
        <L::Service as tower_service::Service<Call>>::Error: Into<Error>,
        <L::Service as tower_service::Service<Call>>::Future: Send,
    {
        self.with(|parts| parts.services.layer(layer))
    }

    /// Sees every push before it is sent, and may change it or hold it back.
    #[must_use]
    pub fn push_filter(self, filter: impl PushFilter) -> Self {
        self.with(|parts| parts.services.push_filter(filter))
    }

    /// Chooses the body of errors for clients that know no error flag. Default `{"code":…,"message":…}`.
    #[must_use]
    pub fn error_body(self, body: impl Fn(&Error) -> serde_json::Value + Send + Sync + 'static) -> Self {
        self.with(|parts| parts.services.error_body(body))
    }

    /// Gives routes short codes, told to clients in the handshake. Codes begin at 1.
    #[must_use]
    pub fn dictionary<R: Into<String>>(self, routes: impl IntoIterator<Item = (R, u16)>) -> Self {
        self.with(|parts| {
            parts.dictionary.extend(routes.into_iter().map(|(route, code)| (route.into(), code)));
        })
    }

    /// Decides on clients by their handshake. It may refuse with a code, keep things with the session, and tell the
    /// client something in the answer.
    ///
    /// ```
    /// use dunlin::{Admitted, App, Refusal};
    ///
    /// let app = App::new().validate(|session, handshake| async move {
    ///     match handshake.user["token"].as_str() {
    ///         Some("secret") => session.bind("ann").await.map_err(|_| Refusal::new(500, "no"))?,
    ///         _ => return Err(Refusal::new(401, "log in first")),
    ///     }
    ///     Ok(Admitted::new())
    /// });
    /// # drop(app);
    /// ```
    #[must_use]
    pub fn validate<F, Fut>(self, validator: F) -> Self
    where
        F: Fn(Session, HandshakeRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Admission> + Send + 'static,
    {
        self.with(|parts| parts.validator = Some(Arc::new(validator)))
    }

    /// Runs `hook` once for each session that came through its handshake, on its shard: do not block there.
    #[must_use]
    pub fn on_opened(self, hook: impl Fn(&Session) + Send + Sync + 'static) -> Self {
        self.with(|parts| parts.hooks.on_opened.push(Box::new(hook)))
    }

    /// Runs `hook` once for each uid that is bound to a session.
    #[must_use]
    pub fn on_bound(self, hook: impl Fn(&Session) + Send + Sync + 'static) -> Self {
        self.with(|parts| parts.hooks.on_bound.push(Box::new(hook)))
    }

    /// Runs `hook` once for each opened session that ended, on its shard: do not block there.
    #[must_use]
    pub fn on_closed(self, hook: impl Fn(&Session, &CloseReason) + Send + Sync + 'static) -> Self {
        self.with(|parts| parts.hooks.on_closed.push(Box::new(hook)))
    }

    /// Serves a fixed page on the client port, such as `/` or `/app.js`.
    #[must_use]
    pub fn page(self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.with(|parts| {
            parts.pages.insert(path.to_owned(), Page::new(content_type, body.into()));
        })
    }

    /// Changes limits and times.
    #[must_use]
    pub fn configure(self, change: impl FnOnce(&mut GateConfig)) -> Self {
        self.with(|parts| change(&mut parts.config))
    }

    /// Makes the application one node of a cluster: routes that it has not are forwarded to nodes that have them, and theirs to it.
    ///
    /// ```no_run
    /// use dunlin::{App, ClusterConfig, VoterConfig};
    ///
    /// # async fn run() -> Result<(), dunlin::ServeError> {
    /// let config = ClusterConfig::new("gate-1", "10.0.0.1:7001")
    ///     .voters([(1, "http://10.0.0.1:7001"), (2, "http://10.0.0.2:7001"), (3, "http://10.0.0.3:7001")])
    ///     .voter(VoterConfig::new(1, "/var/lib/dunlin"));
    /// App::new().cluster(config).serve("0.0.0.0:3250").await
    /// # }
    /// ```
    #[must_use]
    pub fn cluster(self, config: ClusterConfig) -> Self {
        self.with(|parts| parts.cluster = Some(Box::new(config)))
    }

    /// How calls to a service of other nodes find their node. Default [`Policy::Sticky`].
    #[must_use]
    pub fn dispatch(self, service: &str, policy: Policy) -> Self {
        self.with(|parts| {
            drop(parts.dispatch.insert(service.to_owned(), Dispatch::Policy(policy)));
        })
    }

    /// Lets calls to a service go to the node that a key names: the same for the same key as long as the same nodes are there, whether this
    /// node is one of them or not. To be said on every gate alike.
    #[must_use]
    pub fn dispatch_by(self, service: &str, key: impl Fn(&Call) -> Vec<u8> + Send + Sync + 'static) -> Self {
        self.with(|parts| drop(parts.dispatch.insert(service.to_owned(), Dispatch::Key(Arc::new(key)))))
    }

    /// Lets a function choose the node of each call to a service of other nodes, among those that are reached and take calls: its id, or `None`
    /// for nobody, which is answered 503. It is asked for every call; a session whose calls go to different nodes has no order among them.
    #[must_use]
    pub fn dispatch_with(
        self,
        service: &str,
        choice: impl Fn(&Call, &[Arc<NodeRecord>]) -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        self.with(|parts| drop(parts.dispatch.insert(service.to_owned(), Dispatch::Choice(Arc::new(choice)))))
    }

    /// Adds an address to serve clients on.
    #[must_use]
    pub fn listen(self, listen: impl Into<Listen>) -> Self {
        self.with(|parts| parts.listens.push(listen.into()))
    }

    /// What is known of the routes: names, kinds, types and docs, for tools.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the routes do not fit together, or the application was started on addresses: ask its
    /// [`Node`] then.
    pub fn routes(&self) -> Result<Vec<Arc<RouteInfo>>, StartError> {
        match (&*self.parts.lock().unwrap_or_else(PoisonError::into_inner), self.local.get()) {
            (Some(parts), _) => parts.services.infos().map_err(StartError::from),
            (None, Some(node)) => Ok(node.routes()),
            (None, None) => Err(StartError::Again),
        }
    }

    /// Starts the application on its addresses and returns while it serves.
    ///
    /// # Errors
    ///
    /// [`StartError`] when services, dictionary, TLS files or addresses do not work. Nothing is left running then.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: services that were initialised stay without their shutdown.
    pub async fn start(self) -> Result<Node, StartError> {
        start::start(self.take_parts()?, true).await
    }

    /// Serves clients on `addr`, and on the addresses given before, until the process is told to stop by SIGINT or
    /// SIGTERM. A second signal stops at once.
    ///
    /// # Errors
    ///
    /// [`ServeError`] when it cannot start, or a shard fails.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes all connections at once and runs no shutdown of services.
    pub async fn serve(self, addr: impl Into<Listen>) -> Result<(), ServeError> {
        self.listen(addr).start().await?.run_until_signal().await
    }

    /// Connects a client inside the process, starting the application on the current runtime the first time. The
    /// message's path is the same as over a socket; time can be paused.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] when the application cannot start or refuses the client.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe the first time, see [`App::start`].
    pub async fn connect(&self) -> Result<LocalClient, ConnectError> {
        self.connect_with(ClientConfig::default()).await
    }

    /// As [`App::connect`], for a client that says something of itself in its handshake.
    ///
    /// # Errors
    ///
    /// As [`App::connect`].
    ///
    /// # Cancel safety
    ///
    /// As [`App::connect`].
    pub async fn connect_with(&self, config: ClientConfig) -> Result<LocalClient, ConnectError> {
        self.local().await?.connect_with(config).await
    }

    /// The application as it runs inside this process, started the first time.
    ///
    /// # Errors
    ///
    /// [`StartError`] when it cannot start.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe the first time, see [`App::start`].
    pub async fn local(&self) -> Result<Arc<Node>, StartError> {
        let start = async { Ok(Arc::new(start::start(self.take_parts()?, false).await?)) };
        self.local.get_or_try_init(|| start).await.cloned()
    }

    pub(super) fn take_parts(&self) -> Result<Parts, StartError> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
        parts.map(|parts| *parts).ok_or(StartError::Again)
    }
}

impl Parts {
    /// The dictionary, if the application gave one.
    pub(super) fn dictionary(&mut self) -> Result<Option<RouteDictionary>, StartError> {
        let pairs = std::mem::take(&mut self.dictionary);
        if pairs.is_empty() {
            return Ok(None);
        }
        Ok(Some(RouteDictionary::from_pairs(pairs)?))
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}
