//! A distribution of times as a chart of plain characters.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// How long the longest bar is.
const BAR_LEN_MAX: u64 = 50;

/// A chart of times in microseconds, in steps of 1, 2 and 5.
pub(super) struct Chart<'a>(pub(super) &'a Histogram<u64>);

impl fmt::Display for Chart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = rows(self.0);
        let longest = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
        for (below_us, count) in rows {
            let below = shown(Duration::from_micros(below_us));
            // Whatever there is shows, be it little.
            let bar_len = (count * BAR_LEN_MAX).div_ceil(longest);
            let bar = "#".repeat(usize::try_from(bar_len).unwrap_or(0));
            let percent = percent(count, self.0.len());
            writeln!(f, "  {:>12} |{bar:<50} {percent:>6} %", format!("< {below}"))?;
        }
        Ok(())
    }
}

/// Upper bounds, from the shortest time to the longest, with how many are below each and not below the one before.
fn rows(times_us: &Histogram<u64>) -> Vec<(u64, u64)> {
    if times_us.is_empty() {
        return Vec::new();
    }
    let bounds = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.saturating_pow(power)));
    let mut rows = Vec::new();
    let mut from = 0;
    for below in bounds {
        if below > times_us.min() {
            rows.push((below, times_us.count_between(from, below - 1)));
            from = below;
        }
        if below > times_us.max() {
            break;
        }
    }
    rows
}

#[expect(clippy::cast_precision_loss, reason = "a percentage is rounded anyway")]
fn percent(count: u64, all: u64) -> String {
    format!("{:.2}", count as f64 * 100.0 / all.max(1) as f64)
}

/// A time with three digits or so, and its unit.
pub(super) fn shown(time: Duration) -> String {
    let us = time.as_micros();
    match us {
        0..1_000 => format!("{us} us"),
        1_000..10_000 => format!("{:.2} ms", time.as_secs_f64() * 1e3),
        10_000..100_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        100_000..1_000_000 => format!("{:.0} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(times_us: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        for time in times_us {
            histogram.record(*time).unwrap();
        }
        histogram
    }

    #[test]
    fn every_time_is_in_one_row_and_no_row_is_outside() {
        let histogram = times(&[150, 199, 200, 999, 1000, 4000]);
        assert_eq!(rows(&histogram), [(200, 2), (500, 1), (1000, 1), (2000, 1), (5000, 1)]);
        assert_eq!(rows(&times(&[])), []);
    }

    #[test]
    fn the_longest_bar_is_of_the_fullest_row_and_a_single_time_shows() {
        let mut histogram = times(&[150]);
        histogram.record_n(300, 9_999).unwrap();
        let chart = Chart(&histogram).to_string();
        let bars: Vec<usize> = chart.lines().map(|line| line.matches('#').count()).collect();
        assert_eq!(bars, [1, 50], "{chart}");
        assert!(chart.contains(" 99.99 %"), "{chart}");
    }

    #[test]
    fn times_have_a_unit_that_fits() {
        let of = |us| shown(Duration::from_micros(us));
        assert_eq!([of(7), of(1_234), of(45_600), of(999_000)], ["7 us", "1.23 ms", "45.6 ms", "999 ms"]);
        assert_eq!(of(61_500_000), "61.50 s");
    }
}
