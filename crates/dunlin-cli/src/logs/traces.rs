//! Traces, sent to a collector as OpenTelemetry has them.

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use super::LogError;

/// The name that traces are found by.
const SERVICE: &str = "dunlin";

/// What tells the nodes apart, by the semantic conventions of OpenTelemetry.
const INSTANCE: &str = "service.instance.id";

/// What sends traces.
#[derive(Debug, Clone)]
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends to a collector what comes from the node of this name. To be called on a runtime.
    ///
    /// # Errors
    ///
    /// [`LogError::Traces`].
    pub(super) fn new(collector: &str, node: &str) -> Result<Self, LogError> {
        let failed = |source| LogError::Traces { collector: collector.to_owned(), source };
        let exporter =
            SpanExporter::builder().with_tonic().with_endpoint(collector).build().map_err(failed)?;
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let node = KeyValue::new(INSTANCE, node.to_owned());
        let resource = Resource::builder().with_service_name(SERVICE).with_attribute(node).build();
        Ok(Self(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build()))
    }

    /// What takes spans: those of calls and of the programs' own, whatever is logged.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        // What is beneath would trace the sending of traces.
        let beneath = ["h2", "hyper", "hyper_util", "tonic", "tower"];
        let targets = Targets::new().with_default(LevelFilter::DEBUG);
        let targets =
            beneath.iter().fold(targets, |targets, target| targets.with_target(*target, LevelFilter::OFF));
        tracing_opentelemetry::layer().with_tracer(self.0.tracer(SERVICE)).with_filter(targets)
    }

    /// Sends what waits.
    pub(super) fn send_rest(&self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}
