//! Asks a peer, over one of its clients, whether it is there and what its clock says.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use dunlin_http::Transport;
use http::StatusCode;
use tokio::time::{sleep_until, timeout};

use super::headers;
use super::link::Link;
use super::reader::{Chain, beginning};
use crate::core::{ProbeAnswer, ProbeAnswerError, ProbeHealth, Probed, Prober};

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("the peer did not answer")]
    Http(#[source] dunlin_http::Error),
    #[error("the peer took too long to answer")]
    Slow,
    #[error("the peer answered {0}")]
    Status(StatusCode),
    #[error("the peer's answer is none")]
    Answer(#[source] ProbeAnswerError),
    #[error("the peer says that it is not well")]
    NotWell,
}

/// Probes until the peer is stopped.
pub(crate) async fn run(link: Arc<Link>, client: Transport) {
    let stop = link.stop.clone();
    let probing = async {
        let mut prober = Prober::new(Instant::now());
        loop {
            tokio::select! {
                () = sleep_until(prober.next_probe_at().into()) => {
                    let result = probe(&link, &client).await;
                    let reason = result.as_ref().err().map(|error| Chain(error).to_string());
                    let result = result.map_err(|_| reason.as_deref().unwrap_or_default());
                    prober.handle_result(Instant::now(), result);
                    link.set_probed(prober.look());
                }
                () = sleep_until(prober.next_look_at().into()) => look(&link, &mut prober),
            }
        }
    };
    stop.run_until_cancelled(probing).await;
}

fn look(link: &Link, prober: &mut Prober) {
    let Some(look) = prober.poll_look(Instant::now()) else { return };
    if let ProbeHealth::Unhealthy { reason, .. } = &look.health {
        tracing::warn!(peer = %link.id, round_trip = ?look.round_trip, reason, "the peer does not answer probes");
    }
    if let Some(drift) = look.drift {
        tracing::warn!(peer = %link.id, ?drift, "the peer's clock and ours differ");
    }
}

async fn probe(link: &Link, client: &Transport) -> Result<Probed, ProbeError> {
    let url = link.url();
    let begin = Instant::now();
    let answer = async {
        let response = client.round_trip(headers::probe(&url)).await.map_err(ProbeError::Http)?;
        let status = response.status();
        let body = beginning(response.into_body()).await;
        if status != StatusCode::OK {
            return Err(ProbeError::Status(status));
        }
        ProbeAnswer::decode(&body).map_err(ProbeError::Answer)
    };
    let answer = timeout(link.node.config.socket_timeout, answer).await.unwrap_or(Err(ProbeError::Slow));
    let answer = answer.and_then(|answer| if answer.is_ok { Ok(answer) } else { Err(ProbeError::NotWell) });
    match answer {
        Ok(answer) => Ok(Probed {
            round_trip: begin.elapsed(),
            local_clock: SystemTime::now(),
            remote_clock: answer.now,
        }),
        Err(error) => {
            link.url_failed(&url);
            Err(error)
        }
    }
}
