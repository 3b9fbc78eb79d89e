//! Values of the command line that several commands have: times.

use std::time::Duration;

use crate::config::Time;

/// Reads a time with its unit: `500ms`, `5s` or `2m`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    text.parse().map(|Time(time)| time)
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
    fn a_time_has_a_unit_and_some_time_is_not_nothing() {
        let read = |text| time(text).ok().map(|time| time.as_millis());
        assert_eq!([read("500ms"), read("5s"), read("2m")], [Some(500), Some(5_000), Some(120_000)]);
        assert_eq!([read("5"), read("s"), read("-5s"), read("soon")], [None; 4]);
        assert!(some_time("0s").is_err() && some_time("1ms").is_ok());
    }
}
