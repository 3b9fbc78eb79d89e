//! What was promised of the figures, and whether this run keeps it. Printed, never enforced.

use std::io::{self, Write};

use anyhow::Result;

use super::results::{Line, compact};

/// How a figure is judged.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// Ours by the peer's, at most.
    Ratio(f64),
    /// Ours alone, at most.
    Ours(f64),
}

/// One promise.
#[derive(Debug, Clone, Copy)]
struct Bar {
    /// The figure's name begins with this.
    begin: &'static str,
    /// And ends with this.
    end: &'static str,
    metric: &'static str,
    peer: &'static str,
    bound: Bound,
}

const fn bar(
    names: (&'static str, &'static str),
    metric: &'static str,
    peer: &'static str,
    bound: Bound,
) -> Bar {
    Bar { begin: names.0, end: names.1, metric, peer, bound }
}

const COST: &str = "server_cpu_us_per_op";

/// The memory that churn may leave behind for each closed connection, while the heap finds its size in the first rounds.
/// Whatever belongs to a session is twenty times as large.
const CHURN_BYTES_MAX: f64 = 16.0;

const BARS: &[Bar] = &[
    bar(("edge/idle/ws/", ""), "bytes_per_conn", "nano", Bound::Ratio(0.03)),
    bar(("edge/echo/", "/64"), COST, "nano", Bound::Ratio(0.55)),
    bar(("edge/echo/", "/1000"), COST, "nano", Bound::Ratio(0.55)),
    bar(("edge/echo/", "/depth16"), COST, "nano", Bound::Ratio(0.2)),
    bar(("edge/broadcast/", ""), COST, "nano", Bound::Ratio(0.5)),
    bar(("edge/broadcast/", ""), "lost", "nano", Bound::Ours(0.0)),
    bar(("edge/echo/", ""), "lost", "nano", Bound::Ours(0.0)),
    bar(("edge/churn/", ""), "bytes_per_conn", "nano", Bound::Ours(CHURN_BYTES_MAX)),
    bar(("edge/echo/", "/64"), COST, "bare", Bound::Ratio(1.3)),
    bar(("edge/echo/", "/1000"), COST, "bare", Bound::Ratio(1.3)),
    bar(("edge/echo/", "/depth16"), COST, "bare", Bound::Ratio(1.3)),
];

/// Prints each bar with the figure it is about.
pub(crate) fn print(lines: &[Line]) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "\n| bar | figure | bound | measured | |")?;
    writeln!(out, "|---|---|---|---|---|")?;
    for bar in BARS {
        for line in lines.iter().filter(|line| bar.is_about(line)) {
            let (bound, measured) = match bar.bound {
                Bound::Ratio(bound) => (bound, line.ratio),
                Bound::Ours(bound) => (bound, line.ours),
            };
            let what = match bar.bound {
                Bound::Ratio(_) => format!("{} against {}", bar.metric, bar.peer),
                Bound::Ours(_) => bar.metric.to_owned(),
            };
            let verdict = match measured {
                Some(value) if value <= bound => "met",
                Some(_) => "NOT met",
                None => "not run",
            };
            let shown = match (measured, bar.bound) {
                (None, _) => "-".to_owned(),
                (Some(value), Bound::Ratio(_)) => format!("{value:.3}"),
                (Some(value), Bound::Ours(_)) => compact(value),
            };
            writeln!(out, "| {what} | {} | <= {bound} | {shown} | {verdict} |", line.name)?;
        }
    }
    writeln!(out)?;
    Ok(())
}

impl Bar {
    fn is_about(&self, line: &Line) -> bool {
        let is_named = line.name.starts_with(self.begin) && line.name.ends_with(self.end);
        is_named && line.metric == self.metric && line.peer == self.peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(name: &str, metric: &'static str, peer: &'static str) -> usize {
        let line = Line {
            name: name.to_owned(),
            metric,
            ours: None,
            peer,
            theirs: None,
            ratio: None,
            runs: 0,
            unit: "",
        };
        BARS.iter().filter(|bar| bar.is_about(&line)).count()
    }

    #[test]
    fn a_figure_has_one_bar_a_peer_at_most() {
        assert_eq!(about("edge/echo/ws/64", COST, "nano"), 1);
        assert_eq!(about("edge/echo/ws/64/depth16", COST, "nano"), 1);
        assert_eq!(about("edge/echo/ws/1", COST, "nano"), 0);
        assert_eq!(about("edge/echo/tcp/1000", COST, "bare"), 1);
        assert_eq!(about("edge/idle/tcp/1000/fresh", "bytes_per_conn", "nano"), 0);
    }
}
