//! How a link comes to be, lives, and comes back.

use std::fmt;
use std::sync::Arc;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use super::generated::link_client::LinkClient;
use super::live::live;
use super::outgoing::Outgoing;
use super::peer::Peer;
use crate::config::Timing;
use crate::core::Backoff;
use crate::frame::{Alive, Batch, Frame, Hello, Said};
use crate::host::Host;
use crate::limits::{FRAME_SESSIONS_MAX, HELLO_TIMEOUT, MESSAGE_LEN_MAX};
use crate::net::Way;

/// What all links that this node dials share.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) me: Hello,
    pub(crate) timing: Timing,
    pub(crate) way: Way,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) stop: CancellationToken,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("me", &self.me).finish_non_exhaustive()
    }
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("the node has no address")]
    NoAddress,
    #[error("the node is not reached")]
    Dial(#[source] tonic::transport::Error),
    #[error("the node does not answer in time")]
    TimedOut,
    #[error("the node refuses the link")]
    Refused(#[source] Box<Status>),
    #[error("the node says nothing of itself")]
    NoHello,
    #[error("another node answers there")]
    SomebodyElse,
}

/// Keeps a link to a node, until it is gone from the registry or this node stops. Then there is none.
pub(crate) async fn keep(dialer: &Dialer, peer: &Arc<Peer>) {
    let mut backoff = Backoff::default();
    let keeping = async {
        while !peer.is_gone() {
            let was_up = link(dialer, peer).await;
            if was_up {
                backoff = Backoff::default();
            }
            sleep(backoff.pause(fastrand::f64())).await;
        }
    };
    dialer.stop.run_until_cancelled(keeping).await;
    peer.end();
}

/// One link, from its beginning to its end. Whether it was there.
async fn link(dialer: &Dialer, peer: &Arc<Peer>) -> bool {
    let name = &peer.record().name;
    let outgoing = Arc::new(Outgoing::default());
    let mut stream = match timeout(HELLO_TIMEOUT, connect(dialer, peer, &outgoing)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(node = %name, error = chain(&error), "there is no link to the node");
            return false;
        }
        Err(_) => {
            tracing::debug!(node = %name, error = %LinkError::TimedOut, "there is no link to the node");
            return false;
        }
    };
    // From here on what ends is said on this link, so those that are told to be alive are no fewer than those that are known there.
    peer.begin(outgoing.clone());
    tell_alive(dialer, peer, &outgoing);
    peer.set_up();
    tracing::info!(node = %name, "linked with the node");
    let handle = |frame: Frame| match frame.said {
        Some(Said::Answer(answer)) => peer.handle_answer(answer),
        _ => dialer.host.handle_peer_frame(peer, frame),
    };
    let end = live(&dialer.timing, (&outgoing, &mut stream), handle).await;
    peer.end();
    tracing::warn!(node = %name, error = chain(&end), "the link to the node has ended");
    true
}

async fn connect(
    dialer: &Dialer,
    peer: &Peer,
    outgoing: &Arc<Outgoing>,
) -> Result<Streaming<Batch>, LinkError> {
    let mut client = LinkClient::new(channel(dialer, peer).await?)
        .max_decoding_message_size(MESSAGE_LEN_MAX)
        .max_encoding_message_size(MESSAGE_LEN_MAX);
    // A fresh queue takes it.
    outgoing.send(Hello { to: peer.id(), ..dialer.me.clone() }.into()).ok();
    let request = Request::new(outgoing.clone().batches());
    let mut stream =
        client.open(request).await.map_err(|status| LinkError::Refused(Box::new(status)))?.into_inner();
    let first = stream.message().await.map_err(|status| LinkError::Refused(Box::new(status)))?;
    let first = first.and_then(|batch| batch.frames.into_iter().next());
    match first.and_then(|frame| frame.said) {
        Some(Said::Hello(hello)) if hello.node == peer.id() => Ok(stream),
        Some(Said::Hello(_)) => Err(LinkError::SomebodyElse),
        _ => Err(LinkError::NoHello),
    }
}

async fn channel(dialer: &Dialer, peer: &Peer) -> Result<Channel, LinkError> {
    let record = peer.record();
    let url = record.urls.first().ok_or(LinkError::NoAddress)?;
    dialer.way.channel(url).await.map_err(LinkError::Dial)
}

/// Says which sessions are still there, on a link that begins.
pub(crate) fn tell_alive(dialer: &Dialer, peer: &Peer, outgoing: &Outgoing) {
    let sessions = dialer.host.alive(peer);
    let mut chunks = sessions.chunks(FRAME_SESSIONS_MAX).peekable();
    loop {
        let sessions = chunks.next().map(<[u64]>::to_vec).unwrap_or_default();
        let is_last = chunks.peek().is_none();
        // If the link ends already, there is another one to come.
        outgoing.send(Alive { sessions, is_last }.into()).ok();
        if is_last {
            return;
        }
    }
}

/// An error with what is behind it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
