//! A layer that counts every call and how long it took, for whatever recorder the process has for `metrics`.

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tower_layer::Layer;

use super::call::{Call, CallFuture, Reply};
use super::layer::CallService;
use crate::error::Error;

/// What calls that no route of this node serves are counted as: clients make up as many names as they like.
const OTHER: &str = "other";

/// Counts every call, by its route: how many there were, how they ended, how long they took, how many run.
///
/// | metric | labels | what |
/// |---|---|---|
/// | `dunlin_calls_total` | `node`, `route`, `outcome` | calls that ended: `ok`, `error` (the handler's own), `dropped` (late, or its client went) |
/// | `dunlin_call_seconds` | `node`, `route` | how long they took |
/// | `dunlin_calls_running` | `node`, `route` | calls that run now |
///
/// A route that other nodes serve is counted as `Service.*`, and one that nobody does as `other`, so that clients cannot make labels up.
/// The recorder is to be there before the first call. It costs a clock's look and a box for each call; without the layer neither is paid.
#[derive(Debug, Clone)]
pub struct MeterLayer {
    node: Arc<str>,
}

impl MeterLayer {
    /// Counts as the node of this name.
    #[must_use]
    pub fn new(node: impl Into<Arc<str>>) -> Self {
        Self { node: node.into() }
    }
}

impl Layer<CallService> for MeterLayer {
    type Service = Metered;

    fn layer(&self, inner: CallService) -> Metered {
        Metered { node: self.node.clone(), inner }
    }
}

/// Calls behind a [`MeterLayer`].
#[derive(Debug, Clone)]
pub struct Metered {
    node: Arc<str>,
    inner: CallService,
}

impl tower_service::Service<Call> for Metered {
    type Response = Reply;
    type Error = Error;
    type Future = CallFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> CallFuture {
        let running = Running::begin(call.entry().meter(&self.node));
        let future = self.inner.call(call);
        Box::pin(async move {
            let outcome = future.await;
            running.end(outcome.is_ok());
            outcome
        })
    }
}

/// What one route is counted by.
#[derive(Clone)]
pub(crate) struct RouteMeter {
    ok: Counter,
    errors: Counter,
    dropped: Counter,
    seconds: Histogram,
    running: Gauge,
}

/// The meter of a route, made when it is first called.
#[derive(Default)]
pub(super) struct MeterCell(OnceLock<RouteMeter>);

impl MeterCell {
    pub(super) fn get(&self, node: &str, route: impl FnOnce() -> String) -> &RouteMeter {
        self.0.get_or_init(|| RouteMeter::new(node, &route()))
    }
}

/// The label of a route: its name if this node has it.
pub(super) fn label(route: &str, is_ours: bool, is_forwarded: bool) -> String {
    match route.rsplit_once('.') {
        _ if is_ours => route.to_owned(),
        Some((service, _)) if is_forwarded => format!("{service}.*"),
        _ => OTHER.to_owned(),
    }
}

impl RouteMeter {
    fn new(node: &str, route: &str) -> Self {
        let labels = [("node", node.to_owned()), ("route", route.to_owned())];
        let ended = |outcome: &'static str| {
            let labels = [&labels[..], &[("outcome", outcome.to_owned())]].concat();
            counter!("dunlin_calls_total", &labels)
        };
        Self {
            ok: ended("ok"),
            errors: ended("error"),
            dropped: ended("dropped"),
            seconds: histogram!("dunlin_call_seconds", &labels),
            running: gauge!("dunlin_calls_running", &labels),
        }
    }
}

/// A call that runs. Dropped before its end, it is counted as dropped.
struct Running {
    meter: RouteMeter,
    began: Instant,
    outcome: Option<bool>,
}

impl Running {
    fn begin(meter: &RouteMeter) -> Self {
        meter.running.increment(1.0);
        Self { meter: meter.clone(), began: Instant::now(), outcome: None }
    }

    fn end(mut self, is_ok: bool) {
        self.outcome = Some(is_ok);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = match self.outcome {
            Some(true) => &self.meter.ok,
            Some(false) => &self.meter.errors,
            None => &self.meter.dropped,
        };
        ended.increment(1);
        self.meter.running.decrement(1.0);
        self.meter.seconds.record(self.began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_clients_make_up_are_no_labels() {
        assert_eq!(label("Chat.say", true, false), "Chat.say");
        assert_eq!(label("Chat.madeUp", false, true), "Chat.*");
        assert_eq!(label("nobody.knows.this", false, false), OTHER);
    }
}
