//! Times and durations as Go writes them into JSON.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How Go writes a time that was never set.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A time of RFC 3339; a clock out of any calendar is written as one that was never set.
pub(super) fn time(time: Option<SystemTime>) -> String {
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let nanos = since.and_then(|since| i128::try_from(since.as_nanos()).ok());
    let time = nanos.and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| NEVER.to_owned())
}

/// A duration in hours, minutes and seconds, without units of zero before others: `10m59.32s`. Below a second Go takes the unit
/// that gives a whole number.
pub(super) fn duration(duration: Duration) -> String {
    let nanos = duration.subsec_nanos();
    let seconds = duration.as_secs();
    if seconds == 0 {
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => with_fraction(0, u64::from(nanos), 1_000, "µs"),
            _ => with_fraction(0, u64::from(nanos), 1_000_000, "ms"),
        };
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let mut text = String::new();
    if hours > 0 {
        // Writing to a string cannot fail.
        write!(text, "{hours}h").unwrap_or_default();
    }
    if hours > 0 || minutes > 0 {
        write!(text, "{minutes}m").unwrap_or_default();
    }
    text + &with_fraction(seconds % 60, u64::from(nanos), 1_000_000_000, "s")
}

/// So many whole units and nanoseconds, of which `unit` make one, without zeros at the end.
fn with_fraction(whole: u64, nanos: u64, unit: u64, name: &str) -> String {
    let (whole, fraction) = (whole + nanos / unit, nanos % unit);
    if fraction == 0 {
        return format!("{whole}{name}");
    }
    let digits = unit.ilog10() as usize;
    let fraction = format!("{fraction:0digits$}");
    format!("{whole}.{}{name}", fraction.trim_end_matches('0'))
}
