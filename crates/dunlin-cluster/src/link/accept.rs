//! The end of a link that is dialed: who has dialed, and what is said back.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, StreamExt as _};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::dial::chain;
use super::generated::link_server::{Link, LinkServer};
use super::live::live;
use super::outgoing::Outgoing;
use crate::config::Timing;
use crate::error::SendError;
use crate::frame::{Batch, Frame, Hello, Said};
use crate::host::Host;
use crate::limits::{HELLO_TIMEOUT, MESSAGE_LEN_MAX};

/// A link that another node has dialed, about that node's sessions.
#[derive(Debug)]
pub struct Accepted {
    node: u64,
    name: String,
    outgoing: Arc<Outgoing>,
}

impl Accepted {
    /// The end of a link with a node of this id and name.
    pub(crate) fn new((node, name): (u64, String), outgoing: Arc<Outgoing>) -> Self {
        Self { node, name, outgoing }
    }

    /// The id of the node that dialed.
    #[must_use]
    pub const fn node(&self) -> u64 {
        self.node
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends a frame, after all that were sent before.
    ///
    /// # Errors
    ///
    /// [`SendError`]; that it is not reached once the link has ended.
    pub fn send(&self, frame: impl Into<Frame>) -> Result<(), SendError> {
        self.outgoing.send(frame.into())
    }
}

/// The nodes that have dialed this one.
pub(crate) struct Guests {
    me: Hello,
    timing: Timing,
    host: Arc<dyn Host>,
    stop: CancellationToken,
    tasks: TaskTracker,
    by_node: Mutex<HashMap<u64, Guest>>,
}

/// A node that has dialed.
struct Guest {
    /// Ends the link of now.
    stop: CancellationToken,
    /// Held by the link of now, so that another one begins after its end.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// How many links there were.
    links: u64,
}

impl Guests {
    pub(crate) fn new(
        me: Hello,
        timing: Timing,
        host: Arc<dyn Host>,
        (stop, tasks): (CancellationToken, TaskTracker),
    ) -> Arc<Self> {
        Arc::new(Self { me, timing, host, stop, tasks, by_node: Mutex::default() })
    }

    fn by_node(&self) -> MutexGuard<'_, HashMap<u64, Guest>> {
        self.by_node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a link of a node, after the end of the one before.
    async fn begin(&self, node: u64) -> (OwnedMutexGuard<()>, CancellationToken, u64) {
        let (turn, stop, links) = {
            let mut by_node = self.by_node();
            let guest = by_node.entry(node).or_insert_with(|| Guest {
                stop: CancellationToken::new(),
                turn: Arc::default(),
                links: 0,
            });
            guest.stop.cancel();
            guest.stop = self.stop.child_token();
            guest.links += 1;
            (guest.turn.clone(), guest.stop.clone(), guest.links)
        };
        (turn.lock_owned().await, stop, links)
    }

    /// A link has ended: the node is forgotten unless it comes back.
    async fn end(&self, node: u64, links: u64) {
        self.stop.run_until_cancelled(sleep(self.timing.comeback)).await;
        let is_last = {
            let mut by_node = self.by_node();
            let is_last = by_node.get(&node).is_some_and(|guest| guest.links == links);
            if is_last {
                by_node.remove(&node);
            }
            is_last
        };
        if is_last {
            self.host.forget(node);
        }
    }
}

/// The service, for the node's port.
pub(crate) fn service(guests: Arc<Guests>) -> LinkServer<impl Link> {
    LinkServer::new(Served(guests))
        .max_decoding_message_size(MESSAGE_LEN_MAX)
        .max_encoding_message_size(MESSAGE_LEN_MAX)
}

struct Served(Arc<Guests>);

#[tonic::async_trait]
impl Link for Served {
    type OpenStream = Pin<Box<dyn Stream<Item = Result<Batch, Status>> + Send>>;

    async fn open(&self, request: Request<Streaming<Batch>>) -> Result<Response<Self::OpenStream>, Status> {
        let mut stream = request.into_inner();
        let first = timeout(HELLO_TIMEOUT, stream.message())
            .await
            .map_err(|_| Status::deadline_exceeded("the node says nothing"))??;
        let mut frames = first.ok_or_else(|| Status::cancelled("the link has ended"))?.frames.into_iter();
        let Some(Said::Hello(hello)) = frames.next().and_then(|frame| frame.said) else {
            return Err(Status::invalid_argument("the node does not say who it is"));
        };
        if hello.cluster != self.0.me.cluster {
            let why = format!("this node is of the cluster `{}`", self.0.me.cluster);
            return Err(Status::permission_denied(why));
        }
        // Before anything else: the link that this node may have with us is not ended for one that is not for us.
        if hello.to != 0 && hello.to != self.0.me.node {
            return Err(Status::failed_precondition("another node is meant"));
        }
        let guests = self.0.clone();
        let turn = guests.begin(hello.node).await;
        let outgoing = Arc::new(Outgoing::default());
        // A fresh queue takes it.
        outgoing.send(guests.me.clone().into()).ok();
        let link = Arc::new(Accepted::new((hello.node, hello.name), outgoing.clone()));
        let (tracker, early) = (guests.tasks.clone(), frames.collect());
        tracker.spawn(host_link(guests, link, (stream, early), turn));
        Ok(Response::new(Box::pin(outgoing.batches().map(Ok))))
    }
}

/// Reads a link to its end.
async fn host_link(
    guests: Arc<Guests>,
    link: Arc<Accepted>,
    (mut stream, early): (Streaming<Batch>, Vec<Frame>),
    (turn, stop, links): (OwnedMutexGuard<()>, CancellationToken, u64),
) {
    tracing::info!(node = %link.name, "the node has linked with this one");
    let mut handler = guests.host.accept(link.clone());
    early.into_iter().for_each(|frame| handler.handle_frame(frame));
    let living = live(&guests.timing, (&link.outgoing, &mut stream), |frame| handler.handle_frame(frame));
    let end = stop.run_until_cancelled(living).await;
    let why = end.map_or_else(|| "it begins anew, or this node stops".to_owned(), |end| chain(&end));
    link.outgoing.end();
    drop((handler, turn));
    tracing::info!(node = %link.name, why, "the node's link has ended");
    guests.end(link.node, links).await;
}
