//! Periods as they stand in `#[every("50ms")]`.

use syn::{Error, LitStr, Result};

/// Units by their letters, longest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
/// A day: what runs more seldom is no tick.
const PERIOD_MS_MAX: u64 = 86_400_000;

/// Reads a period as milliseconds.
pub(super) fn parse(period: &LitStr) -> Result<u64> {
    match milliseconds(&period.value()) {
        Some(period_ms @ 1..=PERIOD_MS_MAX) => Ok(period_ms),
        Some(_) => Err(Error::new(period.span(), "a period is 1 ms to 24 h long")),
        None => Err(Error::new(
            period.span(),
            "a period is a whole number with its unit: \"50ms\", \"2s\", \"5m\" or \"1h\"",
        )),
    }
}

fn milliseconds(text: &str) -> Option<u64> {
    let (number, unit) =
        UNITS.iter().find_map(|(letters, unit)| Some((text.strip_suffix(letters)?, unit)))?;
    number.trim().parse::<u64>().ok()?.checked_mul(*unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_apart() {
        assert_eq!(milliseconds("50ms"), Some(50));
        assert_eq!(milliseconds("2s"), Some(2_000));
        assert_eq!(milliseconds("5m"), Some(300_000));
        assert_eq!(milliseconds("1 h"), Some(3_600_000));
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in ["", "50", "ms", "1.5s", "-1s", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
