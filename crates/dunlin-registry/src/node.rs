//! A member that runs: its tasks around the state machines, and how it starts and stops.
//!
//! One task owns the [`Driver`] and waits for nobody but its inbox (`node/run.rs`). A thread writes the log (`node/writer.rs`), another
//! one applies entries to the store (`node/applier.rs`); both take work from bounded queues, and when one is full the driver is not
//! asked for more. So ticks wait neither for the disk nor for the store. `node/sink.rs` is where the transport's messages come in,
//! `node/snapshots.rs` keeps the files of snapshots, `node/restart.rs` knows what a directory says of its member, `node/waiting.rs` knows who waits for what.
//!
//! Invariants: what is acknowledged is synced on a quorum; nothing is sent that has to be on the disk before it is; a disk that fails,
//! or a core that panics, ends the member and everybody hears of it.

use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use dunlin_rafthttp::limits::SNAPSHOT_BYTES_PER_SEC_MAX_DEFAULT;
use dunlin_rafthttp::{ClusterId, MemberId, Transport};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::consensus::{CoreConfig, CoreError, RaftRs, Recovered};
use crate::driver::Driver;
use crate::limits::{HAND_OVER_TIMEOUT, INBOX_MAX, STOP_TIMEOUT};
use crate::log::{Batch, DirectoryError, FsDisk, Identity, Log, LogConfig, LogError};
use crate::store::{ImageError, Member, Store};
use crate::watch::WatchedStore;

mod applier;
mod duties;
mod restart;
mod run;
mod sink;
mod snapshots;
mod state;
mod waiting;
mod writer;

pub(crate) use self::run::Input;

use self::sink::Sink;
use self::snapshots::Snapshots;
pub use self::state::{Health, State};
pub(crate) use self::waiting::{Done, Waiting};

/// How a member is set up.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// This member.
    pub id: MemberId,
    /// The group.
    pub cluster: ClusterId,
    /// Where its log and snapshots are. The directory is made if it is not there.
    pub dir: PathBuf,
    /// Where other members reach it.
    pub urls: Vec<String>,
    /// How long a tick is: a heartbeat comes with each, an election after ten to fifteen without.
    pub tick: Duration,
    /// What election timeouts are drawn from.
    pub seed: u64,
    /// A snapshot is taken after so many entries.
    pub snapshot_entries: u64,
    /// The log keeps so many entries before a snapshot, for followers that are a little behind.
    pub snapshot_tail: u64,
    /// Bytes of snapshots that are sent to others each second, all of them together; `None` for no limit.
    pub snapshot_bytes_per_sec_max: Option<NonZeroU64>,
}

impl NodeConfig {
    /// A member with the defaults: ticks of 100 ms, a snapshot every 50,000 entries, sent with 64 MiB a second.
    #[must_use]
    pub fn new(id: MemberId, cluster: ClusterId, dir: impl Into<PathBuf>) -> Self {
        Self {
            id,
            cluster,
            dir: dir.into(),
            urls: Vec::new(),
            tick: Duration::from_millis(100),
            seed: fastrand::u64(..),
            snapshot_entries: 50_000,
            snapshot_tail: 5_000,
            snapshot_bytes_per_sec_max: Some(SNAPSHOT_BYTES_PER_SEC_MAX_DEFAULT),
        }
    }
}

/// How a member begins whose directory is empty. One that has a log goes on from it, whatever is said here.
#[derive(Debug, Clone)]
pub enum Begin {
    /// As one of the first members of a new group; the same are said to each of them.
    Bootstrap(Vec<Member>),
    /// As somebody whom a group adds that runs already. These are members of it, to be reached before it is known who is.
    Join(Vec<Member>),
    /// Not at all: it is a member already, and a directory without a log is refused instead of beginning with nothing. What else is
    /// to be known [`NodeConfig::recover`] finds in the directory.
    Restart,
}

impl Begin {
    /// Members that are said to be there.
    fn said(&self) -> &[Member] {
        match self {
            Self::Bootstrap(members) | Self::Join(members) => members,
            Self::Restart => &[],
        }
    }
}

/// Why a member does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A directory cannot be made or read.
    #[error("cannot use {path}", path = path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nobody to start again.
    #[error("there is no member in {path} to start again", path = path.display())]
    NoMember {
        /// The directory.
        path: PathBuf,
    },
    /// The log's directory cannot be had.
    #[error("cannot have the directory of the log")]
    LogDirectory(#[from] DirectoryError),
    /// The log is damaged, somebody else's, or the disk fails.
    #[error("cannot open the log")]
    Log(#[from] LogError),
    /// The snapshot that the log goes on from is not there, or no longer what it was.
    #[error("cannot read the snapshot {path}", path = path.display())]
    Snapshot {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: ImageError,
    },
    /// What was recovered does not fit together.
    #[error("cannot go on from what is on the disk")]
    Core(#[from] CoreError),
    /// The transport cannot start.
    #[error("cannot start the transport")]
    Transport(#[from] dunlin_rafthttp::StartError),
    /// A URL of a member will not do.
    #[error("a URL of a member will not do")]
    Url(#[from] dunlin_rafthttp::UrlError),
}

/// What all parts of a member share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: MemberId,
    pub(crate) cluster: ClusterId,
    pub(crate) store: RwLock<Store>,
    pub(crate) waiting: Mutex<Waiting>,
    /// The revision of the store, for watches to wait on.
    pub(crate) revision: watch::Sender<u64>,
    pub(crate) state: watch::Sender<State>,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) stop: CancellationToken,
}

impl Shared {
    pub(crate) fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> std::sync::RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WatchedStore for Shared {
    fn with_store<R>(&self, look: impl FnOnce(&Store) -> R) -> R {
        look(&self.store())
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    async fn stopped(&self) {
        self.stop.cancelled().await;
    }
}

/// A running member. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Node {
    shared: Arc<Shared>,
    transport: Transport,
    tasks: tokio_util::task::TaskTracker,
}

impl Node {
    /// Starts a member, which is then reached on the listener. Without one its peers are to be answered by its
    /// [`transport`](Self::transport), by whoever serves a port where more is. `set_up` says how its transport speaks: with TLS, or in plain text.
    ///
    /// # Errors
    ///
    /// [`StartError`] for what is in the way. The disk is as it was, but for a torn tail that was cut.
    pub fn start(
        config: &NodeConfig,
        begin: &Begin,
        listener: impl Into<Option<TcpListener>>,
        set_up: impl FnOnce(dunlin_rafthttp::Builder) -> dunlin_rafthttp::Builder,
    ) -> Result<Self, StartError> {
        let (log, recovered) = open_log(config, begin)?;
        let snapshots = Snapshots::open(&config.dir.join("snapshots"))
            .map_err(|source| StartError::Directory { path: config.dir.clone(), source })?;
        let store = snapshots.load(recovered.snapshot.index)?;
        let core = RaftRs::new(CoreConfig::new(config.id.0, config.seed), recovered.clone())?;
        let driver = Driver::new(core, &recovered.snapshot, fastrand::u64(..));

        let (inputs, inbox) = mpsc::channel(INBOX_MAX);
        let shared = Arc::new(Shared {
            id: config.id,
            cluster: config.cluster,
            revision: watch::Sender::new(store.revision()),
            store: RwLock::new(store),
            waiting: Mutex::default(),
            state: watch::Sender::new(State::default()),
            inputs,
            stop: CancellationToken::new(),
        });
        let builder = Transport::builder(config.id, config.cluster)
            .snapshot_dir(snapshots.dir())
            .snapshot_bytes_per_sec_max(config.snapshot_bytes_per_sec_max)
            .urls(config.urls.iter().map(String::as_str))?;
        let sink = Sink::new(shared.clone(), snapshots.clone());
        let transport = set_up(builder).start(sink)?;
        add_peers(&transport, &shared, begin)?;

        let tasks = tokio_util::task::TaskTracker::new();
        if let Some(listener) = listener.into() {
            let (serving, stop) = (transport.clone(), shared.stop.clone());
            tasks.spawn(async move { serving.serve(listener, stop.cancelled()).await });
        }
        let runner = run::Runner::new((driver, log), config, (&shared, &transport, snapshots), &tasks);
        tasks.spawn(runner.run(inbox));
        tasks.close();
        Ok(Self { shared, transport, tasks })
    }

    /// The registry, as this member has it.
    #[must_use]
    pub fn registry(&self) -> crate::local::LocalRegistry {
        crate::local::LocalRegistry::new(self.shared.clone())
    }

    /// The transport, for its statistics and to cut peers off in tests.
    #[must_use]
    pub const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// How it goes. Changes are told.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    /// Stops it. What is on the disk is what it goes on from. A leader hands over first, so that the others need not wait for an election.
    ///
    /// # Cancel safety
    ///
    /// What was begun goes on.
    pub async fn stop(&self) {
        self.hand_over().await;
        self.shared.stop.cancel();
        self.transport.stop().await;
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("the member stopped before all of its tasks had");
        }
    }

    /// Lets another voter lead, if this member does, and waits shortly until one does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the leadership to its fate.
    pub async fn hand_over(&self) {
        let (me, mut state) = (self.shared.id.0, self.state());
        let is_over = |state: &State| state.leader != me || matches!(state.health, Health::Stopped(_));
        if is_over(&state.borrow()) || self.shared.inputs.try_send(Input::HandOver).is_err() {
            return;
        }
        // Alone there is nobody to lead; it stops all the same.
        tokio::time::timeout(HAND_OVER_TIMEOUT, state.wait_for(is_over)).await.ok();
    }

    /// Stops it without waiting for anything.
    pub fn abort(&self) {
        self.shared.stop.cancel();
        // Else it would go on taking what its peers have for the next life of this member.
        self.transport.abort();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.abort();
    }
}

/// The log, with its beginning if it is new.
fn open_log(config: &NodeConfig, begin: &Begin) -> Result<(Log<FsDisk>, Recovered), StartError> {
    let disk = match (restart::disk_of_somebody(&config.dir)?, begin) {
        (Some(disk), Begin::Bootstrap(_) | Begin::Join(_)) => disk,
        (Some(disk), Begin::Restart) if Log::identity(&disk)?.is_some() => disk,
        (None, Begin::Bootstrap(_) | Begin::Join(_)) => FsDisk::open(log_dir(&config.dir))?,
        (_, Begin::Restart) => return Err(StartError::NoMember { path: config.dir.clone() }),
    };
    let identity = Identity { cluster_id: config.cluster.0, member_id: config.id.0 };
    let (mut log, found) = Log::open(disk, identity, LogConfig::default())?;
    if let Some(cut) = found.cut {
        tracing::warn!(
            bytes = cut,
            "the end of the log was torn, which nobody was told to be safe; it is cut"
        );
    }
    let mut recovered =
        Recovered { hard_state: found.hard_state, snapshot: found.snapshot, entries: found.entries };
    if let (true, Begin::Bootstrap(members)) = (recovered.is_empty(), begin) {
        let context = |member: &Member| (member.id, Bytes::from(member.encode_to_vec()));
        recovered = Recovered::bootstrap(members.iter().map(context));
        let hard_state = Some(recovered.hard_state);
        log.append(Batch { entries: &recovered.entries, hard_state, ..Batch::default() })?;
    }
    Ok((log, recovered))
}

fn log_dir(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// Peers are those of the store, and while it knows none those that were said.
fn add_peers(transport: &Transport, shared: &Shared, begin: &Begin) -> Result<(), StartError> {
    let store = shared.store();
    let known: Vec<&Member> = store.members().collect();
    let members = if known.is_empty() { begin.said().iter().collect() } else { known };
    for member in members.into_iter().filter(|member| member.id != shared.id.0) {
        transport.add_peer(MemberId(member.id), member.urls.iter().map(String::as_str))?;
    }
    Ok(())
}
