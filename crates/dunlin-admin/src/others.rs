//! What other nodes say of themselves: each is asked at its own admin port, with the token that all share.

use dunlin_http::{RequestBody, Transport};
use futures_util::StreamExt as _;
use futures_util::stream::iter;
use http_body_util::{BodyExt as _, Limited};
use tokio::time::timeout;

use crate::access::Token;
use crate::limits::{OTHER_LEN_MAX, OTHER_TIMEOUT, OTHERS_AT_ONCE_MAX};
use crate::state::There;

/// The way to other nodes' admin ports.
pub(crate) struct Others {
    transport: Transport,
    token: Option<Token>,
}

/// What came of asking a node.
pub(crate) enum Answer {
    Said(There),
    Silent(&'static str),
}

impl Others {
    pub(crate) fn new(token: Option<Token>) -> Self {
        let transport = Transport::builder().max_conns_per_host(2).dial_timeout(Some(OTHER_TIMEOUT)).build();
        Self { transport, token }
    }

    /// Asks nodes at their URLs, all at the same time, and none for longer than half a second.
    pub(crate) async fn ask(&self, nodes: Vec<(u64, String)>) -> Vec<(u64, Answer)> {
        let asking = nodes.into_iter().map(|(id, url)| async move {
            let answer = timeout(OTHER_TIMEOUT, self.ask_one(&url)).await;
            (id, answer.unwrap_or(Answer::Silent("it did not answer in time")))
        });
        iter(asking).buffer_unordered(OTHERS_AT_ONCE_MAX).collect().await
    }

    async fn ask_one(&self, url: &str) -> Answer {
        match self.get(&format!("{}/admin/api/here", url.trim_end_matches('/'))).await {
            Some(Ok(there)) => Answer::Said(there),
            Some(Err(401)) => Answer::Silent("it has another token"),
            Some(Err(_)) => Answer::Silent("it refused to answer"),
            None => Answer::Silent("it is not reached"),
        }
    }

    async fn get(&self, url: &str) -> Option<Result<There, u16>> {
        let mut request = axum::http::Request::get(url);
        if let Some(token) = &self.token {
            request = request.header("authorization", token.bearer());
        }
        let response = self.transport.round_trip(request.body(RequestBody::empty()).ok()?).await.ok()?;
        if !response.status().is_success() {
            return Some(Err(response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), OTHER_LEN_MAX).collect().await.ok()?;
        serde_json::from_slice(&body.to_bytes()).ok().map(Ok)
    }
}
