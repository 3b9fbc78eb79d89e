//! Values of the command line that several commands have: times.

use std::time::Duration;

/// Reads a time with its unit: `500ms`, `5s` or `2m`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let example = || "write a time such as 500ms or 5s".to_owned();
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000)];
    let found = units.into_iter().find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, ms)));
    let (number, ms) = found.ok_or_else(example)?;
    let number: u64 = number.parse().map_err(|_| example())?;
    Ok(Duration::from_millis(number.saturating_mul(ms)))
}

/// Reads a time that is not zero.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("write a time longer than nothing, such as 500ms or 5s".to_owned()),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_whole_number_with_a_unit() {
        let read = |text| time(text).ok().map(|time| time.as_millis());
        assert_eq!([read("500ms"), read("5s"), read("2m")], [Some(500), Some(5_000), Some(120_000)]);
        assert_eq!([read("5"), read("s"), read("-5s"), read("1.5s"), read("soon")], [None; 5]);
        assert!(read(&format!("{}m", u64::MAX)).is_some(), "too long is as long as can be");
        assert!(some_time("0s").is_err() && some_time("1ms").is_ok());
    }
}
