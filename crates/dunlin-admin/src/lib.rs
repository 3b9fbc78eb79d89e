//! What the person who runs dunlin sees: metrics, health, events and the cluster page, on a port of their own.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use dunlin::App;
//! use dunlin::service::MeterLayer;
//! use dunlin_admin::{Admin, AdminConfig};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let admin = Admin::start(AdminConfig::new("127.0.0.1:7070")).await?;
//! let node = Arc::new(App::new().layer(MeterLayer::new("gate-1")).listen("0.0.0.0:3250").start().await?);
//! admin.watch("gate-1", &node);
//! node.run_until_signal().await?;
//! admin.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Pure: `access.rs` who may ask, `events.rs` what happened, `changes.rs` what is told of two looks at a cluster, `samples.rs` metrics as they are written.
//! Acting: `port.rs` and `http.rs` serve, `watcher.rs` looks, `metrics.rs` measures, `state.rs` and `sessions.rs` gather what the page shows, `others.rs` asks other nodes
//! for the same, `actions.rs` does what is asked for. The page is in `page/`, plain files without a build.
//!
//! Invariant: whoever is not on this machine needs the token. Invariant: nothing is changed by a GET, and what is changed is told in the events.

mod access;
mod actions;
mod changes;
mod error;
mod events;
mod http;
mod limits;
mod metrics;
mod others;
mod page;
mod port;
mod samples;
mod sessions;
mod state;
mod watcher;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use dunlin::{Node, ServerTls, TlsFiles};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::access::Token;
pub use self::error::AdminError;
use self::events::EventLog;
pub use self::events::{Event, EventKind};
use self::metrics::Meters;
use self::others::Others;
use self::port::Port;

/// How long answers that are on their way may take when it stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The label of a node's record that says where its admin port is, so that others can ask it.
pub const LABEL: &str = "admin";

/// Changes what the process logs: a filter as `RUST_LOG` has it, or why it is none.
pub type SetLogLevel = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// How the port is served.
#[derive(Clone)]
pub struct AdminConfig {
    listen: String,
    token: Option<Token>,
    tls: Option<TlsFiles>,
    authority: Option<PathBuf>,
    set_log_level: Option<SetLogLevel>,
}

impl AdminConfig {
    /// Serves on `host:port`. Anything but loopback needs a token.
    #[must_use]
    pub fn new(listen: impl Into<String>) -> Self {
        Self { listen: listen.into(), token: None, tls: None, authority: None, set_log_level: None }
    }

    /// Answers only those that have this token, on loopback too.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Serves over TLS alone. The files are read again when they change.
    #[must_use]
    pub fn tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self
    }

    /// Trusts other nodes' admin ports that have a certificate of this authority, a PEM file, instead of those that the public knows.
    #[must_use]
    pub fn authority(mut self, path: impl Into<PathBuf>) -> Self {
        self.authority = Some(path.into());
        self
    }

    /// Lets what is logged be changed while the process runs.
    #[must_use]
    pub fn log_level(mut self, set: SetLogLevel) -> Self {
        self.set_log_level = Some(set);
        self
    }
}

impl std::fmt::Debug for AdminConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminConfig")
            .field("listen", &self.listen)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// A node of this process that is watched.
#[derive(Debug, Clone)]
struct Watched {
    name: Arc<str>,
    node: Weak<Node>,
}

/// What the parts of the port share.
struct Shared {
    token: Option<Token>,
    set_log_level: Option<SetLogLevel>,
    watched: Mutex<Vec<Watched>>,
    events: EventLog,
    meters: Meters,
    others: Others,
    stop: CancellationToken,
}

impl Shared {
    /// The nodes of this process that run.
    fn here(&self) -> Vec<(Arc<str>, Arc<Node>)> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|watched| watched.node.strong_count() > 0);
        watched.iter().filter_map(|Watched { name, node }| Some((name.clone(), node.upgrade()?))).collect()
    }
}

/// The port, which serves until it is stopped or dropped.
pub struct Admin {
    shared: Arc<Shared>,
    addr: SocketAddr,
    is_tls: bool,
    tasks: TaskTracker,
}

impl Admin {
    /// Serves. Until a node is watched it says that none is ready.
    ///
    /// # Errors
    ///
    /// [`AdminError`] when strangers could ask without a token, or the address cannot be had.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was begun.
    pub async fn start(config: AdminConfig) -> Result<Self, AdminError> {
        let AdminConfig { listen, token, tls, authority, set_log_level } = config;
        let tls = tls.map(ServerTls::load).transpose().map_err(Arc::new)?;
        let is_tls = tls.is_some();
        let others = Others::new(token.clone(), authority.as_deref())?;
        let bind_error = |source| AdminError::Bind { addr: listen.clone(), source: Arc::new(source) };
        let listener = TcpListener::bind(&listen).await.map_err(bind_error)?;
        let addr = listener.local_addr().map_err(bind_error)?;
        if token.is_none() && !addr.ip().is_loopback() {
            return Err(AdminError::Open { addr });
        }
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            others,
            token,
            set_log_level,
            watched: Mutex::default(),
            events: EventLog::default(),
            meters: Meters::install()?,
            stop: stop.clone(),
        });
        let tasks = TaskTracker::new();
        tasks.spawn(watcher::run(shared.clone()));
        let port =
            Port { router: http::router(shared.clone()), tls: tls.map(Arc::new), stop, tasks: tasks.clone() };
        tasks.spawn(port.serve(listener));
        Ok(Self { shared, addr, is_tls, tasks })
    }

    /// Where it is served.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it is served, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.addr)
    }

    /// Shows a node of this process too, under this name. One of the same name that was watched before is not any more.
    pub fn watch(&self, name: &str, node: &Arc<Node>) {
        let mut watched = self.shared.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|watched| *watched.name != *name);
        watched.push(Watched { name: name.into(), node: Arc::downgrade(node) });
    }

    /// Adds something to the events that the page shows.
    pub fn note(&self, event: Event) {
        self.shared.events.note(event);
    }

    /// Stops: no more is answered.
    ///
    /// # Cancel safety
    ///
    /// What was begun goes on.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.tasks.close();
        if timeout(STOP_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("the admin port stopped before all of its answers were sent");
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("addr", &self.addr).finish_non_exhaustive()
    }
}
