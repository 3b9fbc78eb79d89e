//! Posts single messages: what has no stream, and snapshots that are small enough to be a message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use dunlin_http::RequestBody;

use super::headers::{self, PIPELINE_PATH, PeerRefusal};
use super::link::Link;
use super::reader::{Chain, beginning};
use crate::core::Channel;
use crate::raftpb::{self, Message, MessageType};

/// Why a post failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error("the peer did not answer")]
    Http(#[source] dunlin_http::Error),
    #[error("the peer refuses the message")]
    Refused(#[source] PeerRefusal),
    #[error("the peer took too long to answer")]
    Slow,
}

/// One worker: posts a message after the other until the peer is stopped.
pub(crate) async fn run(link: Arc<Link>) {
    let stop = link.stop.clone();
    let working = async {
        loop {
            let next = link.peer().poll_pipeline();
            match next {
                Some(message) => send(&link, message).await,
                None => link.posts.notified().await,
            }
        }
    };
    stop.run_until_cancelled(working).await;
}

async fn send(link: &Link, message: Message) {
    let begin = Instant::now();
    let result = post(link, &message).await;
    if message.is(MessageType::App) && !link.is_remote {
        let mut stats = link.node.leader_stats();
        match &result {
            Ok(()) => stats.handle_successes(link.id, 1, begin.elapsed()),
            Err(_) => stats.handle_failure(link.id),
        }
    }
    match result {
        Ok(()) => link.posted(Channel::Pipeline, &message, Ok(())),
        Err(error) => {
            if let PostError::Refused(PeerRefusal::Removed) = error {
                link.node.removed(link.id);
            }
            let reason = Chain(&error).to_string();
            tracing::debug!(peer = %link.id, reason, "a message was not taken");
            link.posted(Channel::Pipeline, &message, Err(&reason));
        }
    }
}

async fn post(link: &Link, message: &Message) -> Result<(), PostError> {
    let url = link.url();
    let mut body = BytesMut::with_capacity(raftpb::encoded_len(message));
    raftpb::encode(message, &mut body);
    let body_len = body.len();
    let target = (&url, PIPELINE_PATH);
    let request = headers::post(&link.node, target, "application/protobuf", RequestBody::from(body.freeze()));
    let answer = async {
        let response = link.clients.pipeline.round_trip(request).await.map_err(PostError::Http)?;
        let status = response.status();
        let text = beginning(response.into_body()).await;
        headers::post_result(status, &text).map_err(PostError::Refused)
    };
    let result = within(link.node.config.post_timeout, answer).await;
    match &result {
        Ok(()) => link.traffic.sent(body_len),
        Err(_) => link.url_failed(&url),
    }
    result
}

pub(crate) async fn within(
    limit: Duration,
    answer: impl Future<Output = Result<(), PostError>>,
) -> Result<(), PostError> {
    tokio::time::timeout(limit, answer).await.unwrap_or(Err(PostError::Slow))
}
