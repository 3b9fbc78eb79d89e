//! A layer that tells `tracing` of every call.

use std::task::{Context, Poll};

use tokio::time::Instant;
use tower_layer::Layer;
use tracing::{Instrument as _, Level};

use super::call::{Call, CallFuture, CallKind, Reply};
use super::layer::CallService;
use crate::error::Error;

/// Runs every call in a `tracing` span with its route and session, and logs its outcome and duration at level debug.
/// While that level is off, a call goes straight through.
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceLayer;

impl Layer<CallService> for TraceLayer {
    type Service = Traced;

    fn layer(&self, inner: CallService) -> Traced {
        Traced(inner)
    }
}

/// Calls behind a [`TraceLayer`].
#[derive(Debug, Clone)]
pub struct Traced(CallService);

impl tower_service::Service<Call> for Traced {
    type Response = Reply;
    type Error = Error;
    type Future = CallFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> CallFuture {
        if !tracing::enabled!(Level::DEBUG) {
            return self.0.call(call);
        }
        let kind = match call.kind() {
            CallKind::Request => "request",
            CallKind::Notify => "notify",
        };
        let span = tracing::debug_span!("call", route = call.route(), session = %call.session().id(), kind);
        let future = self.0.call(call);
        Box::pin(logged(future).instrument(span))
    }
}

async fn logged(call: CallFuture) -> Result<Reply, Error> {
    let began = Instant::now();
    let outcome = call.await;
    let elapsed_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    match &outcome {
        Ok(reply) => tracing::debug!(elapsed_us, reply_len = reply.body().len(), "answered"),
        Err(error) => tracing::debug!(elapsed_us, code = error.code(), message = error.message(), "refused"),
    }
    outcome
}
