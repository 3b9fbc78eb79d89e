//! What happens around calls and before pushes.

use std::task::{Context, Poll};

use super::super::push_filter::PushFilters;
use super::*;

/// Notes in a log when a call goes in and out.
#[derive(Clone)]
struct Noting {
    name: &'static str,
    log: Log,
}

#[derive(Clone)]
struct Noted {
    noting: Noting,
    inner: CallService,
}

impl tower_layer::Layer<CallService> for Noting {
    type Service = Noted;

    fn layer(&self, inner: CallService) -> Noted {
        Noted { noting: self.clone(), inner }
    }
}

impl tower_service::Service<Call> for Noted {
    type Response = Reply;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Reply, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let Noting { name, log } = self.noting.clone();
        log.add(format!("{name} in {}", call.route()));
        let inner = self.inner.call(call);
        Box::pin(async move {
            let outcome = inner.await;
            log.add(format!("{name} out"));
            outcome.map_err(Into::into)
        })
    }
}

#[tokio::test]
async fn the_layer_added_first_sees_a_call_first_and_its_answer_last() {
    let log = Log::default();
    let layer = |name| Noting { name, log: log.clone() };
    let bench = Bench::new(|set| {
        set.layer(layer("outer"));
        set.layer(layer("inner"));
        set.route("A.b", async || -> Result<()> { Ok(()) });
    })
    .await;
    bench.request("A.b", "").await.unwrap();
    assert_eq!(log.take(), ["outer in A.b", "inner in A.b", "inner out", "outer out"]);
}

#[tokio::test]
async fn an_error_keeps_its_code_through_layers_with_boxed_errors() {
    let bench = Bench::new(|set| {
        set.layer(Noting { name: "layer", log: Log::default() });
        set.route("A.b", async || -> Result<()> { Err(Error::forbidden("not yours")) });
    })
    .await;
    assert_eq!(bench.refused("A.b", "").await.code(), Error::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn requests_over_the_rate_are_refused_and_notifies_are_dropped_and_counted() {
    let limit = RateLimit::per_session(2, Duration::from_secs(1));
    let log = Log::default();
    let seen = log.clone();
    let bench = Bench::new(|set| {
        set.layer(limit.clone());
        set.notify_route("A.b", move || {
            seen.add("call");
            async {}
        });
    })
    .await;
    bench.notify("A.b", "").await.unwrap();
    bench.request("A.b", "").await.unwrap();
    assert_eq!(bench.refused("A.b", "").await.code(), Error::RATE_LIMITED);
    bench.notify("A.b", "").await.unwrap();
    assert_eq!((log.take().len(), limit.requests_refused(), limit.notifies_dropped()), (2, 1, 1));

    tokio::time::advance(Duration::from_millis(500)).await;
    bench.request("A.b", "").await.unwrap();
    assert_eq!(bench.refused("A.b", "").await.code(), Error::RATE_LIMITED);
}

#[tokio::test(start_paused = true)]
async fn two_limits_on_one_session_do_not_draw_from_one_bucket() {
    let bench = Bench::new(|set| {
        set.layer(RateLimit::per_session(100, Duration::from_secs(60)));
        set.layer(RateLimit::per_session(1, Duration::from_secs(1)));
        set.route("A.b", async || -> Result<()> { Ok(()) });
    })
    .await;
    for _ in 0..5 {
        bench.request("A.b", "").await.unwrap();
        assert_eq!(bench.refused("A.b", "").await.code(), Error::RATE_LIMITED);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn an_idle_bucket_does_not_overflow() {
    let limit = RateLimit::per_session(1, Duration::ZERO);
    let bench = Bench::new(|set| {
        set.layer(limit);
        set.layer(TraceLayer);
        set.route("A.b", async || -> Result<()> { Ok(()) });
    })
    .await;
    bench.request("A.b", "").await.unwrap();
    bench.request("A.b", "").await.unwrap();
}

#[tokio::test]
async fn the_first_push_filter_that_says_no_is_the_last_that_is_asked() {
    let (session, _app, _client) = session().await;
    let log = Log::default();
    let filter = |name: &'static str, passes: bool| {
        let log = log.clone();
        move |_: &Session, route: &str, body: &mut Bytes| {
            log.add(format!("{name} {route} {}", body.len()));
            *body = Bytes::from_static(b"changed");
            passes
        }
    };
    let mut filters = PushFilters::default();
    assert!(filters.is_empty());
    filters.add(filter("one", true));
    filters.add(filter("two", false));
    filters.add(filter("three", true));
    let mut body = Bytes::new();
    assert!(!filters.pass(&session, "onLine", &mut body));
    assert_eq!(log.take(), ["one onLine 0", "two onLine 7"]);
}

/// Counts the spans of calls; interested in everything up to a level.
struct SpanCounter {
    level: tracing::Level,
    log: Log,
}

impl tracing::Subscriber for SpanCounter {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.target().starts_with("dunlin::service")
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::Id {
        self.log.add(format!("{} {}", span.metadata().name(), span.metadata().fields()));
        tracing::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.log.add(format!("event {}", event.metadata().fields()));
    }

    fn enter(&self, _: &tracing::Id) {}

    fn exit(&self, _: &tracing::Id) {}
}

#[tokio::test]
async fn a_traced_call_has_a_span_and_an_outcome_and_at_a_lower_level_nothing() {
    let bench = Bench::new(|set| {
        set.layer(TraceLayer);
        set.route("A.b", async || -> Result<()> { Ok(()) });
    })
    .await;
    for (level, expected) in [
        (
            tracing::Level::DEBUG,
            &["call {route, session, kind}", "event {message, elapsed_us, reply_len}"][..],
        ),
        (tracing::Level::INFO, &[]),
    ] {
        let log = Log::default();
        let _guard = tracing::subscriber::set_default(SpanCounter { level, log: log.clone() });
        bench.request("A.b", "").await.unwrap();
        assert_eq!(log.take(), expected);
    }
}
