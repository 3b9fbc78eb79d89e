//! Medians over the runs, one line for each figure and peer, as JSON lines and as a table.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::sides::Side;
use super::trials::{Figure, Trial};

/// What the load reported of one run.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Reading(BTreeMap<String, serde_json::Value>);

impl Reading {
    /// A field of the report. What came back wrong counts as lost.
    fn field(&self, field: &str) -> Option<f64> {
        let value = self.number(field)?;
        let wrong = self.number("wrong").unwrap_or(0.0);
        Some(if field == "lost" { value + wrong } else { value })
    }

    fn number(&self, field: &str) -> Option<f64> {
        self.0.get(field).and_then(serde_json::Value::as_f64)
    }

    /// The few figures that are worth a line while it runs.
    pub(crate) fn summary(&self) -> String {
        let shown = [
            "server_cpu_us_per_op",
            "client_cpu_us_per_op",
            "rate",
            "p50_us",
            "p99_us",
            "total_ms",
            "detect_ms",
            "refused",
            "lost",
            "wrong",
        ];
        let memory = ["bytes_per_conn_fresh", "bytes_per_conn_after16k", "bytes_per_closed", "peak_bytes"];
        let part = |field: &&str| self.number(field).map(|value| format!("{field} {}", compact(value)));
        shown.iter().chain(&memory).filter_map(part).collect::<Vec<_>>().join(", ")
    }
}

/// All readings of a bench.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// By trial and side.
    pub(crate) readings: BTreeMap<(String, Side), Vec<Reading>>,
    /// Runs that failed, and why.
    pub(crate) failures: Vec<String>,
}

/// One JSON line: a figure of ours beside the same figure of one peer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    /// For example `edge/echo/ws/64`.
    pub(crate) name: String,
    /// For example `server_cpu_us_per_op`.
    pub(crate) metric: &'static str,
    /// Our median; null when ours was not run.
    pub(crate) ours: Option<f64>,
    /// The other side.
    pub(crate) peer: &'static str,
    /// Its median.
    pub(crate) theirs: Option<f64>,
    /// Ours by theirs.
    pub(crate) ratio: Option<f64>,
    /// Runs behind the medians: the smaller number, if they differ.
    pub(crate) runs: usize,
    /// The unit of both figures.
    pub(crate) unit: &'static str,
}

impl Results {
    /// A line for each figure and each of these peers.
    pub(crate) fn lines<S>(&self, trials: &[Trial<S>], peers: &[Side]) -> Vec<Line> {
        let mut lines = Vec::new();
        for trial in trials {
            let peers: Vec<Side> = peers.iter().copied().filter(|peer| trial.sides.contains(peer)).collect();
            for figure in &trial.figures {
                lines.extend(peers.iter().map(|peer| self.line(&trial.name, figure, *peer)));
            }
        }
        lines
    }

    fn line(&self, trial: &str, figure: &Figure, peer: Side) -> Line {
        let ours = self.values(trial, figure, Side::Ours);
        let theirs = self.values(trial, figure, peer);
        let runs = if ours.is_empty() { theirs.len() } else { ours.len().min(theirs.len()) };
        // One lost message is one too many, however the other runs went; the peer is taken at its median.
        let our_value =
            if figure.metric == "lost" { ours.iter().copied().reduce(f64::max) } else { median(ours) };
        let their_value = median(theirs);
        let ratio = our_value
            .zip(their_value)
            .filter(|(_, theirs)| *theirs > 0.0)
            .map(|(ours, theirs)| ours / theirs);
        Line {
            name: figure.name.clone(),
            metric: figure.metric,
            ours: our_value.map(round),
            peer: peer.name(),
            theirs: their_value.map(round),
            ratio: ratio.map(|ratio| (ratio * 10_000.0).round() / 10_000.0),
            runs,
            unit: figure.unit,
        }
    }

    fn values(&self, trial: &str, figure: &Figure, side: Side) -> Vec<f64> {
        let readings = self.readings.get(&(trial.to_owned(), side));
        readings.into_iter().flatten().filter_map(|reading| reading.field(figure.field)).collect()
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(values[middle - 1], upper))
}

/// Three decimals: more would claim what was not measured.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// A number as a reader wants it: large ones whole and with separators, small ones with two decimals.
pub(crate) fn compact(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}").trim_end_matches("00").trim_end_matches('.').to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

/// Writes the lines, one object each.
pub(crate) fn write_json_lines(lines: &[Line], path: &Path) -> Result<()> {
    let mut out =
        BufWriter::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?);
    for line in lines {
        writeln!(out, "{}", serde_json::to_string(line)?)?;
    }
    out.flush()?;
    Ok(())
}

/// Prints one row for each figure, with all its peers.
pub(crate) fn print_table(lines: &[Line], peers: &[Side]) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let columns = |text: fn(&Side) -> String| peers.iter().map(text).collect::<String>();
    writeln!(out, "\n| figure | metric | ours |{}", columns(|peer| format!(" {} | ratio |", peer.name())))?;
    writeln!(out, "|---|---|---:|{}", columns(|_| "---:|---:|".to_owned()))?;
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let is_same = |line: &&Line| line.name == first.name && line.metric == first.metric;
        let (row, after) = rest.split_at(rest.iter().take_while(is_same).count());
        rest = after;
        let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), compact);
        write!(out, "| {} | {} | {} |", first.name, first.metric, cell(first.ours))?;
        for peer in peers {
            let line = row.iter().find(|line| line.peer == peer.name());
            let ratio = line
                .and_then(|line| line.ratio)
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"));
            write!(out, " {} | {ratio} |", cell(line.and_then(|line| line.theirs)))?;
        }
        writeln!(out)?;
    }
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_number_of_runs_has_its_median_between_the_middle_two() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn numbers_are_written_as_a_reader_wants_them() {
        assert_eq!(compact(1_234_567.4), "1,234,567");
        assert_eq!(compact(0.276), "0.28");
        assert_eq!(compact(0.0), "0");
        assert_eq!(compact(-623.1), "-623");
    }
}
