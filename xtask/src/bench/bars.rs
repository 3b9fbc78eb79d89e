//! What was promised of the figures, and whether this run keeps it. Printed, never enforced.

use std::io::{self, Write};

use anyhow::Result;

use super::results::{Line, compact};
use super::sides::Side;

/// How a figure is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// Ours by the peer's, at most.
    Ratio(Side, f64),
    /// Ours by the peer's, at least.
    RatioAtLeast(Side, f64),
    /// Ours alone, at most.
    Ours(f64),
    /// Ours alone, neither more nor less.
    Exactly(f64),
}

/// One promise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    /// The figure's name begins with this.
    begin: &'static str,
    /// And ends with this.
    end: &'static str,
    metric: &'static str,
    bound: Bound,
}

/// A promise on one metric of all figures whose names begin and end so.
pub(crate) const fn bar(names: (&'static str, &'static str), metric: &'static str, bound: Bound) -> Bar {
    Bar { begin: names.0, end: names.1, metric, bound }
}

/// Prints each bar with the figures it is about.
pub(crate) fn print(bars: &[Bar], lines: &[Line]) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "\n| bar | figure | bound | measured | |")?;
    writeln!(out, "|---|---|---|---|---|")?;
    for bar in bars {
        let mut judged = None;
        for line in lines.iter().filter(|line| bar.is_about(line)) {
            // What is said of ours alone stands on the line of every peer.
            if judged.replace(&line.name) != Some(&line.name) {
                writeln!(out, "{}", bar.row(line))?;
            }
        }
    }
    writeln!(out)?;
    Ok(())
}

impl Bar {
    fn is_about(&self, line: &Line) -> bool {
        let is_named = line.name.starts_with(self.begin) && line.name.ends_with(self.end);
        let is_beside = match self.bound {
            Bound::Ratio(peer, _) | Bound::RatioAtLeast(peer, _) => line.peer == peer.name(),
            Bound::Ours(_) | Bound::Exactly(_) => true,
        };
        is_named && is_beside && line.metric == self.metric
    }

    fn is_met(&self, measured: f64) -> bool {
        match self.bound {
            Bound::Ratio(_, bound) | Bound::Ours(bound) => measured <= bound,
            Bound::RatioAtLeast(_, bound) => measured >= bound,
            Bound::Exactly(bound) => measured.total_cmp(&bound).is_eq(),
        }
    }

    fn row(&self, line: &Line) -> String {
        let (what, bound, measured) = match self.bound {
            Bound::Ratio(peer, bound) => {
                (format!("{} against {}", self.metric, peer.name()), format!("<= {bound}"), line.ratio)
            }
            Bound::RatioAtLeast(peer, bound) => {
                (format!("{} against {}", self.metric, peer.name()), format!(">= {bound}"), line.ratio)
            }
            Bound::Ours(bound) => (self.metric.to_owned(), format!("<= {bound}"), line.ours),
            Bound::Exactly(bound) => (self.metric.to_owned(), format!("= {bound}"), line.ours),
        };
        let verdict = match measured {
            Some(value) if self.is_met(value) => "met",
            Some(_) => "NOT met",
            None => "not run",
        };
        let shown = match (measured, self.bound) {
            (None, _) => "-".to_owned(),
            (Some(value), Bound::Ratio(..) | Bound::RatioAtLeast(..)) => format!("{value:.3}"),
            (Some(value), _) => compact(value),
        };
        format!("| {what} | {} | {bound} | {shown} | {verdict} |", line.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Area;
    use crate::bench::cluster::Cluster;
    use crate::bench::edge::Edge;
    use crate::bench::http::Http;
    use crate::bench::raft::Raft;

    fn about<A: Area>(name: &str, metric: &'static str, peer: Side) -> usize {
        let line = Line {
            name: name.to_owned(),
            metric,
            ours: None,
            peer: peer.name(),
            theirs: None,
            ratio: None,
            runs: 0,
            unit: "",
        };
        A::BARS.iter().filter(|bar| bar.is_about(&line)).count()
    }

    #[test]
    fn a_figure_has_one_bar_a_peer_at_most() {
        let cost = "server_cpu_us_per_op";
        assert_eq!(about::<Edge>("edge/echo/ws/64", cost, Side::Nano), 1);
        assert_eq!(about::<Edge>("edge/echo/ws/64/depth16", cost, Side::Nano), 1);
        assert_eq!(about::<Edge>("edge/echo/ws/1", cost, Side::Nano), 0);
        assert_eq!(about::<Edge>("edge/echo/tcp/1000", cost, Side::Bare), 1);
        assert_eq!(about::<Edge>("edge/idle/tcp/1000/fresh", "bytes_per_conn", Side::Nano), 0);
        assert_eq!(about::<Cluster>("cluster/echo/64", cost, Side::Nano), 1);
        assert_eq!(about::<Cluster>("cluster/echo/64", "rate", Side::Nano), 1);
        assert_eq!(about::<Cluster>("cluster/echo/64/depth16", cost, Side::Nano), 0);
        assert_eq!(about::<Cluster>("cluster/echo/1", "p50_us", Side::Nano), 1);
        assert_eq!(about::<Cluster>("cluster/broadcast/10000", cost, Side::Nano), 1);
        assert_eq!(about::<Cluster>("cluster/detect/frozen", "lost", Side::Nano), 1);
        assert_eq!(about::<Http>("http/h1/16", "client_cpu_us_per_op", Side::Hyper), 1);
        assert_eq!(about::<Http>("http/h1/1", "client_cpu_us_per_op", Side::Hyper), 0);
        assert_eq!(about::<Http>("http/tls/wave", "connections", Side::Go), 1);
        assert_eq!(about::<Raft>("rafthttp/app-64x256", "rate", Side::Go), 1);
    }

    #[test]
    fn one_connection_too_few_is_as_wrong_as_one_too_many() {
        let exact = bar(("", ""), "connections", Bound::Exactly(16.0));
        assert!(exact.is_met(16.0));
        assert!(!exact.is_met(15.0) && !exact.is_met(17.0));
    }

    #[test]
    fn a_rate_has_to_be_higher_and_a_cost_lower() {
        let rate = bar(("", ""), "rate", Bound::RatioAtLeast(Side::Go, 1.5));
        let cost = bar(("", ""), "cost", Bound::Ratio(Side::Go, 0.6));
        assert!(rate.is_met(1.6) && !rate.is_met(1.4));
        assert!(cost.is_met(0.5) && !cost.is_met(0.7));
    }
}
