//! Calls that a node makes by itself, without a client.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use dunlin_cluster::core::{Candidate, Policy, choose};
use dunlin_cluster::frame;
use dunlin_cluster::{Cluster as Links, Peer, SendError};
use dunlin_registry::nodes::NodeTable;
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::{ClusterHost, convert, service_of};
use crate::app::Shared;
use crate::edge::awaited;
use crate::error::{Error, Result};
use crate::service::{Call, CallKind, Extract, FromApp, Reply};
use crate::session::{Home, Session, SessionId, SessionSeed, Transport};

/// The cluster, to call services of any of its nodes. A node that stands alone calls its own.
///
/// Handlers, hooks and ticks take it as an argument. The calls have no client: a handler that asks for the `Session` gets one that takes no pushes, and one that
/// asks for the `Uid` refuses them.
///
/// ```
/// use dunlin::{App, Cluster, Msg, Result, TestCluster, service};
///
/// struct Bank;
///
/// #[service(client)]
/// impl Bank {
///     #[request(idempotent)]
///     async fn balance(&self, Msg(account): Msg<String>) -> Result<u64> {
///         Ok(account.len() as u64)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut cluster = TestCluster::new();
/// cluster.start("bank", App::new().service(Bank)).await?;
/// cluster.start("shop", App::new()).await?;
///
/// let shop: Cluster = cluster.node("shop").cluster();
/// assert_eq!(BankClient::balance(&shop, &"ann".to_owned()).await?, 3);
/// let all = shop.call_all::<u64>("Bank.balance", &"bob").await?;
/// assert_eq!(all.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cluster(Weak<Shared>);

/// How a call of a node is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// How long its answer may take. Default: as requests of clients.
    pub timeout: Option<Duration>,
    /// Lets it go to the node that the key names: the same for the same key as long as the same nodes are there.
    pub key: Option<Vec<u8>>,
}

impl CallOptions {
    /// A call whose answer may take so long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// A call that goes to the node that a key names.
    #[must_use]
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// What one node answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct NodeAnswer<T> {
    /// The node's id.
    pub node: u64,
    /// What it answered.
    pub answer: Result<T>,
}

/// Whom a call goes to.
enum Target {
    Here,
    Peer(Arc<Peer>),
}

impl Target {
    fn node(&self, host: &ClusterHost) -> u64 {
        match self {
            Self::Here => host.id(),
            Self::Peer(peer) => peer.id(),
        }
    }
}

impl Cluster {
    pub(crate) const fn new(app: Weak<Shared>) -> Self {
        Self(app)
    }

    /// Asks a node that serves the route, this one if it does. Payloads are written by the application's serializer.
    ///
    /// # Errors
    ///
    /// The handler's [`Error`]; code 404 when nobody serves the route, 503 when nobody who does is reached or the node was lost before it
    /// answered, 504 when it took too long, 529 when too much waits for it.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the call may be handled all the same.
    pub async fn call<T: DeserializeOwned>(
        &self,
        route: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T> {
        self.call_with(route, body, &CallOptions::default()).await
    }

    /// As [`call`](Self::call), with options.
    ///
    /// # Errors
    ///
    /// As of [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As of [`call`](Self::call).
    pub async fn call_with<T: DeserializeOwned>(
        &self,
        route: &str,
        body: &(impl Serialize + ?Sized),
        options: &CallOptions,
    ) -> Result<T> {
        let (app, host) = self.parts()?;
        let body = written(&app, body)?;
        let mut avoided = Vec::new();
        loop {
            let target = host.target(route, options.key.as_deref(), &avoided)?;
            let node = target.node(&host);
            match host.ask(&target, (route, body.clone()), deadline(&app, options)).await {
                Asked::Answered(result) => return read(&app, result),
                Asked::NotSent => avoided.push(node),
                Asked::Lost if avoided.is_empty() && target.is_idempotent(route) => avoided.push(node),
                Asked::Lost => return Err(lost()),
            }
        }
    }

    /// Asks every node that serves the route, all at the same time.
    ///
    /// # Errors
    ///
    /// [`Error`] when the payload cannot be written, or the node is stopping. What single nodes answered is in the list.
    ///
    /// # Cancel safety
    ///
    /// As of [`call`](Self::call).
    pub async fn call_all<T: DeserializeOwned>(
        &self,
        route: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Vec<NodeAnswer<T>>> {
        let (app, host) = self.parts()?;
        let body = written(&app, body)?;
        let deadline = deadline(&app, &CallOptions::default());
        let (app, host) = (&app, &host);
        let asking = host.targets(route).into_iter().map(|target| {
            let body = body.clone();
            async move {
                let answer = match host.ask(&target, (route, body), deadline).await {
                    Asked::Answered(result) => read(app, result),
                    Asked::NotSent => Err(Error::unavailable("the node is not reached")),
                    Asked::Lost => Err(lost()),
                };
                NodeAnswer { node: target.node(host), answer }
            }
        });
        Ok(join_all(asking).await)
    }

    /// The nodes of the cluster, as this one knows them; none when it stands alone.
    #[must_use]
    pub fn nodes(&self) -> Arc<NodeTable> {
        self.parts().map(|(_, host)| host.nodes()).unwrap_or_default()
    }

    /// Looks at what keeps this node among the others: its links, and the voter if it is one. `None` when it stands alone, or has stopped.
    pub fn with_links<R>(&self, look: impl FnOnce(&Links) -> R) -> Option<R> {
        let (_, host) = self.parts().ok()?;
        host.cluster().map(look)
    }

    fn parts(&self) -> Result<(Arc<Shared>, Arc<ClusterHost>)> {
        let app = self.0.upgrade().ok_or_else(|| Error::unavailable("the node has stopped"))?;
        let host = app.cluster.get().cloned().ok_or_else(|| Error::unavailable("the node is starting"))?;
        Ok((app, host))
    }
}

/// What became of a call.
enum Asked {
    Answered(Result<Reply>),
    /// It did not leave this node.
    NotSent,
    /// Its node was lost; it may have been handled.
    Lost,
}

impl Target {
    fn is_idempotent(&self, route: &str) -> bool {
        match self {
            Self::Here => false,
            Self::Peer(peer) => super::gate::is_idempotent(peer, route),
        }
    }
}

impl ClusterHost {
    /// Everybody who serves a route.
    fn targets(&self, route: &str) -> Vec<Target> {
        let here = self.router.lookup(route.as_bytes()).map(|_| Target::Here);
        let peers = self.cluster().map(|cluster| cluster.peers_with(service_of(route)));
        let peers = peers.iter().flat_map(|peers| peers.iter()).cloned().map(Target::Peer);
        here.into_iter().chain(peers).collect()
    }

    fn target(&self, route: &str, key: Option<&[u8]>, avoided: &[u64]) -> Result<Target> {
        let targets = self.targets(route);
        if targets.is_empty() {
            return Err(Error::not_found("nobody serves this route"));
        }
        let takes = |target: &&Target| match target {
            Target::Here => true,
            Target::Peer(peer) => peer.takes_new() && !avoided.contains(&peer.id()),
        };
        let candidate = |target: &Target| match target {
            Target::Here => Candidate { node: self.id(), in_flight: 0 },
            Target::Peer(peer) => peer.candidate(),
        };
        let candidates: Vec<Candidate> = targets.iter().filter(takes).map(candidate).collect();
        let policy = if key.is_some() { Policy::Hash } else { Policy::Sticky };
        // Without a key the shortest way is best: here, if it is served here.
        let here = Some(self.id()).filter(|_| key.is_none());
        let chosen = choose(policy, &candidates, here, key, fastrand::u64(..));
        let chosen = chosen.and_then(|node| targets.into_iter().find(|target| target.node(self) == node));
        chosen.ok_or_else(|| Error::unavailable("no node that serves this route is reached"))
    }

    async fn ask(&self, target: &Target, (route, body): (&str, Bytes), deadline: Instant) -> Asked {
        match target {
            Target::Here => Asked::Answered(self.run_here(route, body, deadline).await),
            Target::Peer(peer) => ask_peer(peer, (route, body), deadline).await,
        }
    }

    async fn run_here(&self, route: &str, body: Bytes, deadline: Instant) -> Result<Reply> {
        let (Some(entry), Some(app)) = (self.router.lookup(route.as_bytes()).cloned(), self.app.upgrade())
        else {
            return Err(Error::unavailable("the node is stopping"));
        };
        let call = Call::new(nobody(app.clone()), entry, CallKind::Request, body);
        awaited(self.router.run(call), deadline).await.settle(route, &app.stats)
    }
}

async fn ask_peer(peer: &Arc<Peer>, (route, body): (&str, Bytes), deadline: Instant) -> Asked {
    let timeout = deadline.saturating_duration_since(Instant::now());
    let call = frame::Call {
        route: route.to_owned(),
        body,
        timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
        ..frame::Call::default()
    };
    let answering = match peer.call(call) {
        Ok(answering) => answering,
        Err(SendError::Overloaded) => {
            return Asked::Answered(Err(Error::overloaded("too much waits for the node")));
        }
        Err(_) => return Asked::NotSent,
    };
    match timeout_at(deadline, answering).await {
        Ok(Ok(outcome)) => Asked::Answered(convert::result(outcome)),
        Ok(Err(_)) => Asked::Lost,
        Err(_) => Asked::Answered(Err(Error::timeout("the node did not answer in time"))),
    }
}

/// The session of a call without a client.
pub(super) fn nobody(app: Arc<Shared>) -> Session {
    Session::new(SessionSeed {
        id: SessionId::of(0),
        home: Home::Node(app),
        remote_addr: None,
        transport: Transport::Tcp,
        abilities: dunlin_wire::ClientAbilities::default(),
        is_pitaya: false,
    })
}

fn lost() -> Error {
    Error::unavailable("the node was lost before it answered")
}

fn deadline(app: &Shared, options: &CallOptions) -> Instant {
    let timeout = options.timeout.unwrap_or(app.gate.request_timeout);
    let now = Instant::now();
    // What never ends need not be waited for longer than anybody waits.
    now.checked_add(timeout).unwrap_or_else(|| now + app.gate.request_timeout)
}

fn written(app: &Shared, body: &(impl Serialize + ?Sized)) -> Result<Bytes> {
    let mut bytes = Vec::new();
    app.serializer.serialize(body, &mut bytes)?;
    Ok(bytes.into())
}

fn read<T: DeserializeOwned>(app: &Shared, result: Result<Reply>) -> Result<T> {
    let answer = app.serializer.deserialize(result?.body());
    answer.map_err(|error| Error::internal("the answer of the node cannot be read").with_cause(error))
}

impl Extract for Cluster {
    fn extract(call: &mut Call) -> Result<Self> {
        Self::from_app(call.entry().parts())
    }
}

impl FromApp for Cluster {
    fn from_app(app: &crate::service::AppParts) -> Result<Self> {
        Ok(Self(app.groups().app()))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}
