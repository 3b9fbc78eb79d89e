//! What all parts of a running node's transport share: its peers, what is known of Raft, and the judgement of messages.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Instant, SystemTime};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::core::{
    Admission, LeaderStats, LocalView, MemberId, PeerUrls, Refusal, ServerStats, StreamKind, Throttle,
    UrlError, admit,
};
use crate::directory::Directory;
use crate::limits;
use crate::net::link::{Clients, Link};
use crate::net::{pipeline, probing, reader};
use crate::raft::{ErasedRaft, ProcessError};
use crate::raftpb::{self, Message, MessageType};

/// Why this node must stop. It is kept until it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Critical {
    /// A peer says that we are no longer a member, and never will be again.
    #[error("the member has been permanently removed from the cluster, says peer {by}")]
    Removed {
        /// Who says it.
        by: MemberId,
    },
}

/// A running node's transport.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) raft: Arc<dyn ErasedRaft>,
    pub(crate) stop: CancellationToken,
    pub(crate) critical: watch::Sender<Option<Critical>>,
    pub(crate) view: Mutex<View>,
    /// What snapshots that are sent keep to, if there is a limit.
    pub(crate) snapshot_throttle: Option<Arc<Mutex<Throttle>>>,
    directory: RwLock<Directory>,
    server_stats: Mutex<ServerStats>,
    leader_stats: Mutex<LeaderStats>,
}

/// What Raft knows of itself, by which messages are judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) term: u64,
    pub(crate) last_index: u64,
}

/// Why a posted message was not taken.
pub(crate) enum NotTaken {
    Refused(Refusal),
    ByRaft(ProcessError),
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Node {
    pub(crate) fn new(config: Config, raft: Arc<dyn ErasedRaft>) -> Arc<Self> {
        let name = config.id.to_string();
        let stats = ServerStats::new(Instant::now(), SystemTime::now(), name, config.id);
        Arc::new(Self {
            raft,
            stop: CancellationToken::new(),
            critical: watch::channel(None).0,
            // Until Raft says what it has, nothing is too far ahead of it.
            view: Mutex::new(View { term: 0, last_index: limits::INDEX_MAX }),
            server_stats: Mutex::new(stats),
            leader_stats: Mutex::new(LeaderStats::new(config.id)),
            snapshot_throttle: config
                .snapshot_bytes_per_sec_max
                .map(|limit| Arc::new(Mutex::new(Throttle::new(limit)))),
            directory: RwLock::new(Directory::new(config.id)),
            config,
        })
    }

    /// Who is talked to.
    pub(crate) fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn directory_mut(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn peer(&self, id: MemberId) -> Option<Arc<Link>> {
        self.directory().peer(id).cloned()
    }

    /// With TLS no peer is spoken to in plain text, nor the other way round.
    pub(crate) fn check_scheme(&self, urls: &PeerUrls) -> Result<(), UrlError> {
        let scheme = if self.config.tls.is_some() { "https" } else { "http" };
        match urls.iter().find(|url| url.scheme_str() != Some(scheme)) {
            Some(url) => Err(UrlError::Security { scheme, url: url.to_string() }),
            None => Ok(()),
        }
    }

    /// Sends one message: to a peer, else to a remote, else nowhere.
    pub(crate) fn send(&self, now: Instant, message: Message) {
        let to = MemberId(message.to);
        if to.0 == 0 {
            return;
        }
        let link = self.directory().peer_or_remote(to).cloned();
        match link {
            Some(link) => {
                let len = raftpb::encoded_len(&message);
                if message.is(MessageType::App) && !link.is_remote {
                    self.server_stats().handle_append_sent(now, len as u64);
                }
                link.send(message, len);
            }
            None => tracing::debug!(%to, "a message is for somebody unknown"),
        }
    }

    /// A message came on a stream of a peer.
    pub(crate) fn received(&self, now: Instant, link: &Link, mut message: Message) {
        if link.peer().is_paused() {
            return;
        }
        let len = raftpb::encoded_len(&message);
        match self.admit((link.id, now), &mut message, len) {
            Ok(true) => {
                if !link.inbox.push(message, len) {
                    link.traffic.not_received();
                    tracing::warn!(peer = %link.id, "raft is behind: a message that came was dropped");
                }
            }
            Ok(false) => {}
            // Members are forgotten after that, so that everybody is a stranger; nobody is to blame for it.
            Err(_) if self.stop.is_cancelled() => {}
            Err(refusal) => {
                link.traffic.not_received();
                tracing::warn!(peer = %link.id, %refusal, "a message was refused");
            }
        }
    }

    /// A message of such a length came by a post of `sender`'s.
    pub(crate) async fn process(
        &self,
        sender: MemberId,
        mut message: Message,
        len: usize,
    ) -> Result<(), NotTaken> {
        if self.admit((sender, Instant::now()), &mut message, len).map_err(NotTaken::Refused)? {
            return self.deliver(sender, message).await.map_err(NotTaken::ByRaft);
        }
        Ok(())
    }

    /// Gives Raft a posted message that was admitted.
    pub(crate) async fn deliver(&self, sender: MemberId, message: Message) -> Result<(), ProcessError> {
        if self.peer(sender).is_some_and(|link| link.peer().is_paused()) {
            return Ok(());
        }
        self.raft.process(message).await
    }

    /// Looks at a message before Raft does, by what is known now. Whether Raft is to have it.
    pub(crate) fn admit(
        &self,
        (sender, now): (MemberId, Instant),
        message: &mut Message,
        len: usize,
    ) -> Result<bool, Refusal> {
        let from = MemberId(message.from);
        let removed = if self.raft.is_id_removed(from) { BTreeSet::from([from]) } else { BTreeSet::new() };
        let view = *self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = self.directory();
        let view = LocalView {
            me: self.config.id,
            sender,
            members: directory.members(),
            joining: directory.joining(),
            removed: &removed,
            strangers: self.config.strangers,
            term: view.term,
            last_index: view.last_index,
        };
        match admit(&view, message)? {
            Admission::Ignore(ignored) => {
                tracing::debug!(%sender, reason = ignored.as_str(), "a message was ignored");
                Ok(false)
            }
            Admission::Deliver => {
                if message.is(MessageType::App) {
                    self.server_stats().handle_append_received(now, from, len as u64);
                }
                Ok(true)
            }
        }
    }

    pub(crate) fn server_stats(&self) -> MutexGuard<'_, ServerStats> {
        self.server_stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn leader_stats(&self) -> MutexGuard<'_, LeaderStats> {
        self.leader_stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer says that we were removed.
    pub(crate) fn removed(&self, by: MemberId) {
        tracing::error!(%by, "this member was removed from the cluster");
        self.critical.send_if_modified(|critical| {
            let is_first = critical.is_none();
            critical.get_or_insert(Critical::Removed { by });
            is_first
        });
    }

    /// Somebody of our cluster is not known to us: they can be answered from now on.
    pub(crate) fn meet(self: &Arc<Self>, id: MemberId, urls: PeerUrls) {
        if self.raft.is_id_removed(id) || self.check_scheme(&urls).is_err() {
            return;
        }
        self.add_remote(id, urls);
    }

    pub(crate) fn add_remote(self: &Arc<Self>, id: MemberId, urls: PeerUrls) {
        let mut directory = self.directory_mut();
        if !directory.has_room_for_remote(id) || self.stop.is_cancelled() {
            return;
        }
        tracing::info!(remote = %id, %urls, "met somebody who is no peer yet");
        let link = Link::new(id, urls, self, (Clients::new(&self.config, id), true));
        spawn_posting(&link);
        directory.insert_remote(link);
    }

    pub(crate) fn add_peer(self: &Arc<Self>, id: MemberId, urls: PeerUrls) {
        let mut directory = self.directory_mut();
        if !directory.has_room_for_peer(id) || self.stop.is_cancelled() {
            return;
        }
        let link = Link::new(id, urls, self, (Clients::new(&self.config, id), false));
        spawn_posting(&link);
        for kind in StreamKind::ALL {
            link.tasks.spawn(reader::run(link.clone(), kind));
        }
        for client in [&link.clients.streams, &link.clients.pipeline] {
            link.tasks.spawn(probing::run(link.clone(), client.clone()));
        }
        self.leader_stats().add_follower(id);
        for is_proposals in [true, false] {
            let inbox = link.inbox.clone();
            let deliver = inbox.deliver(id, self.raft.clone(), (is_proposals, link.stop.clone()));
            link.tasks.spawn(deliver);
        }
        let was_remote = directory.insert_peer(link);
        drop(directory);
        if let Some(remote) = was_remote {
            remote.stop();
        }
    }
}

fn spawn_posting(link: &Arc<Link>) {
    for _ in 0..limits::PIPELINE_WORKERS {
        link.tasks.spawn(pipeline::run(link.clone()));
    }
}
