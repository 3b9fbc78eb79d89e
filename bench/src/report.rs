//! The one JSON line that a run of the load ends with.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::Serialize;

/// What one run measured; a figure that the kind of work does not have is left out.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Connections that were open while it measured, or that were opened by a wave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<usize>,
    /// Connections that could not be opened, or ended on the way.
    pub failed: usize,
    /// What was counted: replies, deliveries or connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ops: Option<u64>,
    /// Wall time of the counted operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Processor time of the server for one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu_us_per_op: Option<f64>,
    /// The part of the first process, where the server is a gate and others behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate_cpu_us_per_op: Option<f64>,
    /// The part of the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_cpu_us_per_op: Option<f64>,
    /// Processor time of the client for one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cpu_us_per_op: Option<f64>,
    /// Processor time of both sides together for one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_per_op: Option<f64>,
    /// Payload in a second, in millions of bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mb_per_s: Option<f64>,
    /// Resident bytes of both sides at their peaks, above what they had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// Time from the first request of a wave to its last answer, or of a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<f64>,
    /// Operations in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Median time of an operation, or of a whole round of a broadcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<f64>,
    /// The time that 99 of 100 keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<f64>,
    /// Requests without an answer, or deliveries that never came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// Answers with another request's body or id, deliveries out of order or twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<u64>,
    /// Answers that said that the request failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
    /// Time from a node's end to the first answer of another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detect_ms: Option<f64>,
    /// Resident bytes of a connection that did nothing but the handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_conn_fresh: Option<f64>,
    /// Resident bytes of a connection after an echo of 16 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_conn_after16k: Option<f64>,
    /// Resident bytes that stay behind for each connection that was opened and closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_closed: Option<f64>,
    /// Resident KiB after each round of churn, to tell a leak from a heap that finds its size.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rss_kib_by_round: Vec<u64>,
}

impl Report {
    /// Sets the rate of `ops` operations, and what the server spent on each.
    pub fn set_server_cost(&mut self, ops: u64, elapsed: Duration, cpu_ns: u64) {
        self.server_cpu_us_per_op = self.set_rate(ops, elapsed, cpu_ns);
    }

    /// Sets the rate of `ops` operations, and what each of the server's processes spent on each, the gate first if there are several.
    pub fn set_server_costs(&mut self, ops: u64, elapsed: Duration, cpu_ns: &[u64]) {
        if let [gate, backends @ ..] = cpu_ns
            && !backends.is_empty()
        {
            self.gate_cpu_us_per_op = self.set_rate(ops, elapsed, *gate);
            self.backend_cpu_us_per_op = self.set_rate(ops, elapsed, backends.iter().sum());
        }
        self.set_server_cost(ops, elapsed, cpu_ns.iter().sum());
    }

    /// Sets the rate of `ops` operations, and what the client spent on each.
    pub fn set_client_cost(&mut self, ops: u64, elapsed: Duration, cpu_ns: u64) {
        self.client_cpu_us_per_op = self.set_rate(ops, elapsed, cpu_ns);
    }

    /// Sets the rate of `ops` operations, and what the sender and the receiver spent on each.
    pub fn set_both_costs(&mut self, ops: u64, elapsed: Duration, [sender_ns, receiver_ns]: [u64; 2]) {
        self.client_cpu_us_per_op = self.set_rate(ops, elapsed, sender_ns);
        self.server_cpu_us_per_op = self.set_rate(ops, elapsed, receiver_ns);
        self.cpu_us_per_op = self.set_rate(ops, elapsed, sender_ns + receiver_ns);
    }

    /// Prints it as one JSON line.
    ///
    /// # Errors
    ///
    /// When nobody reads it.
    pub fn print(&self) -> anyhow::Result<()> {
        writeln!(std::io::stdout(), "{}", serde_json::to_string(self)?)?;
        Ok(())
    }

    fn set_rate(&mut self, ops: u64, elapsed: Duration, cpu_ns: u64) -> Option<f64> {
        self.ops = Some(ops);
        self.seconds = Some(elapsed.as_secs_f64());
        if ops == 0 {
            return None;
        }
        self.rate = Some(float(ops) / elapsed.as_secs_f64().max(1e-9));
        Some(float(cpu_ns) / 1000.0 / float(ops))
    }

    /// Sets median and 99th percentile from a histogram of nanoseconds.
    pub fn set_times(&mut self, times_ns: &Histogram<u64>) {
        if !times_ns.is_empty() {
            self.p50_us = Some(float(times_ns.value_at_quantile(0.5)) / 1000.0);
            self.p99_us = Some(float(times_ns.value_at_quantile(0.99)) / 1000.0);
        }
    }
}

/// Lets a run take so many seconds at most, and prints its report as one JSON line.
///
/// # Errors
///
/// When the time is up, or the run fails.
///
/// # Cancel safety
///
/// Dropping the future drops the run; nothing is printed then.
pub async fn print_within(
    limit_s: u64,
    run: impl Future<Output = anyhow::Result<Report>>,
) -> anyhow::Result<()> {
    let report =
        tokio::time::timeout(Duration::from_secs(limit_s), run).await.context("the time is up")??;
    report.print()
}

/// An empty histogram of nanoseconds, up to a minute.
///
/// # Errors
///
/// Never with these bounds, which is for the library to know.
pub fn times() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3)
}

/// A count as a number to divide by; exact below 2^53, far more than is ever counted here.
#[must_use]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// Growth from `before` to `after` for each of `count`, which may be negative.
#[must_use]
pub fn growth_per(before: u64, after: u64, count: u64) -> f64 {
    (float(after) - float(before)) / float(count.max(1))
}
