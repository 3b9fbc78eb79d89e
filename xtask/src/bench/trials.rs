//! What an area measures: one trial is one run of the load, which may give several figures.

use std::time::Duration;

use super::sides::Side;

/// A figure: a name, a metric, and the field of the load's report that holds it.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// For example `edge/echo/ws/64`.
    pub(crate) name: String,
    /// For example `server_cpu_us_per_op`.
    pub(crate) metric: &'static str,
    /// The field of the report.
    pub(crate) field: &'static str,
    /// The unit of the figure.
    pub(crate) unit: &'static str,
}

/// One kind of run.
#[derive(Debug, Clone)]
pub(crate) struct Trial<S> {
    /// The name without the parts that one run has several of.
    pub(crate) name: String,
    /// What the area has to set up for it.
    pub(crate) setting: S,
    /// The sides it makes sense for.
    pub(crate) sides: Vec<Side>,
    /// Arguments of the load.
    pub(crate) load: Vec<String>,
    /// What one run yields.
    pub(crate) figures: Vec<Figure>,
    /// Runs by default.
    pub(crate) runs: usize,
    /// Time after which a run is given up.
    pub(crate) limit: Duration,
}

/// A metric that is a field of the report under the same name, and its unit.
pub(crate) type Metric = (&'static str, &'static str);

pub(crate) const RATE: Metric = ("rate", "1/s");
pub(crate) const P50: Metric = ("p50_us", "us");
pub(crate) const P99: Metric = ("p99_us", "us");
pub(crate) const LOST: Metric = ("lost", "messages");

/// Figures of one name.
pub(crate) fn figures(name: &str, metrics: &[Metric]) -> Vec<Figure> {
    let figure = |&(metric, unit)| Figure { name: name.to_owned(), metric, field: metric, unit };
    metrics.iter().map(figure).collect()
}

/// Arguments of a command line.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
