//! One trace from a client's message over gate and link to the handler. Needs the feature `otel`.

use dunlin::service::TraceLayer;
use dunlin::{App, Raw, TestCluster};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn attribute<'a>(span: &'a SpanData, name: &str) -> Option<&'a opentelemetry::Value> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == name).map(|attribute| &attribute.value)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_forwarded_is_one_trace_from_the_gate_to_the_handler() {
    let spans = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("dunlin"));
    tracing_subscriber::registry()
        .with(tracing_subscriber::EnvFilter::new("dunlin=debug,traces=debug"))
        .with(layer)
        .init();

    let mut cluster = TestCluster::new();
    let handler = |Raw(body): Raw| async move {
        tracing::debug_span!("work").in_scope(|| ());
        Ok(Raw(body))
    };
    cluster.start("back", App::new().layer(TraceLayer).route("Echo.ping", handler)).await.unwrap();
    cluster.start("gate", App::new().layer(TraceLayer)).await.unwrap();
    let client = cluster.connect("gate").await.unwrap();
    client.request_raw("Echo.ping", "hi").await.unwrap();
    provider.force_flush().unwrap();

    let spans = spans.get_finished_spans().unwrap();
    let calls: Vec<&SpanData> = spans.iter().filter(|span| span.name == "call").collect();
    let [on_back, on_gate] = calls[..] else { panic!("{calls:#?}") };
    let link = spans.iter().find(|span| span.name == "link").unwrap();
    let work = spans.iter().find(|span| span.name == "work").unwrap();
    for span in [on_back, link, work] {
        assert_eq!(span.span_context.trace_id(), on_gate.span_context.trace_id());
    }
    assert_eq!(link.parent_span_id, on_gate.span_context.span_id());
    assert_eq!(on_back.parent_span_id, link.span_context.span_id());
    assert_eq!(work.parent_span_id, on_back.span_context.span_id());
    assert_eq!(attribute(on_back, "route"), attribute(on_gate, "route"));
}
