//! A layer that tells `tracing` of every call.

use std::task::{Context, Poll};

use tokio::time::Instant;
use tower_layer::Layer;
use tracing::{Instrument as _, Level, Span};

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

/// The trace that runs now, as a `traceparent` to go to another node with a call; empty without one, or without the feature `otel`.
pub(crate) fn carried() -> String {
    #[cfg(feature = "otel")]
    if tracing::enabled!(Level::DEBUG) {
        return remote::inject();
    }
    String::new()
}

/// A span for what another node asks for as part of this trace, so that both are one; none without a trace, or without the feature `otel`.
pub(crate) fn carried_span(trace: &str) -> Span {
    #[cfg(feature = "otel")]
    if !trace.is_empty() {
        return remote::extract(trace);
    }
    let _ = trace;
    Span::none()
}

/// Traces that go from node to node, as the process's propagator of OpenTelemetry writes them.
#[cfg(feature = "otel")]
mod remote {
    use std::collections::HashMap;

    use opentelemetry::global::get_text_map_propagator;
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    /// The header that holds a trace.
    const TRACEPARENT: &str = "traceparent";

    pub(super) fn inject() -> String {
        let mut headers = HashMap::new();
        let context = Span::current().context();
        get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut headers));
        headers.remove(TRACEPARENT).unwrap_or_default()
    }

    pub(super) fn extract(trace: &str) -> Span {
        let headers = HashMap::from([(TRACEPARENT.to_owned(), trace.to_owned())]);
        let context = get_text_map_propagator(|propagator| propagator.extract(&headers));
        let span = tracing::debug_span!("link");
        // A trace that cannot be read is none.
        span.set_parent(context).ok();
        span
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
