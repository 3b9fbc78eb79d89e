//! The answer to a probe: `{"OK":true,"Now":"2026-11-20T11:39:15.543386706Z"}` and the end of the line.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::limits::PROBE_ANSWER_LEN_MAX;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// What a node says when it is probed. Section "Probing".
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use dunlin_rafthttp::ProbeAnswer;
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
/// let answer = ProbeAnswer { is_ok: true, now };
/// assert_eq!(answer.encode()?, "{\"OK\":true,\"Now\":\"1970-01-01T00:00:01.5Z\"}\n");
/// let in_tokyo = br#"{"OK":true,"Now":"1970-01-01T09:00:01.5+09:00"}"#;
/// assert_eq!(ProbeAnswer::decode(in_tokyo)?, answer);
/// # Ok::<(), dunlin_rafthttp::ProbeAnswerError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// Whether it is well.
    pub is_ok: bool,
    /// Its clock.
    pub now: SystemTime,
}

/// Why an answer to a probe cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeAnswerError {
    /// It is longer than [`PROBE_ANSWER_LEN_MAX`]; it was not looked at.
    #[error("answer to a probe of {answer_len} bytes is over the limit of {PROBE_ANSWER_LEN_MAX}")]
    TooLong {
        /// Its length.
        answer_len: usize,
    },
    /// It is not the JSON of one.
    #[error("the answer to a probe cannot be read")]
    Json {
        /// Why.
        source: serde_json::Error,
    },
    /// The time in it is none of RFC 3339.
    #[error("the time in the answer to a probe cannot be read")]
    Time {
        /// Why.
        source: time::error::Parse,
    },
    /// The clock of a node is where no calendar is.
    #[error("the clock stands outside of the years that are written with four digits")]
    Clock,
}

#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(rename = "OK", default)]
    ok: bool,
    #[serde(rename = "Now")]
    now: String,
}

impl ProbeAnswer {
    /// As it is sent, in UTC.
    ///
    /// # Errors
    ///
    /// [`ProbeAnswerError::Clock`] before the year 0 and after the year 9999.
    pub fn encode(&self) -> Result<String, ProbeAnswerError> {
        let nanos = match self.now.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i128::try_from(since.as_nanos()),
            Err(until) => i128::try_from(until.duration().as_nanos()).map(|nanos| -nanos),
        };
        let nanos = nanos.map_err(|_| ProbeAnswerError::Clock)?;
        let now = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| ProbeAnswerError::Clock)?;
        let now = now.format(&Rfc3339).map_err(|_| ProbeAnswerError::Clock)?;
        let fields = Fields { ok: self.is_ok, now };
        let mut answer =
            serde_json::to_string(&fields).map_err(|source| ProbeAnswerError::Json { source })?;
        answer.push('\n');
        Ok(answer)
    }

    /// Reads one from all of `bytes`, with a time of any offset, of whole seconds or with a fraction.
    ///
    /// # Errors
    ///
    /// [`ProbeAnswerError`] when it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProbeAnswerError> {
        let answer_len = bytes.len();
        if answer_len > PROBE_ANSWER_LEN_MAX {
            return Err(ProbeAnswerError::TooLong { answer_len });
        }
        let Fields { ok, now } =
            serde_json::from_slice(bytes).map_err(|source| ProbeAnswerError::Json { source })?;
        let now =
            OffsetDateTime::parse(&now, &Rfc3339).map_err(|source| ProbeAnswerError::Time { source })?;
        Ok(Self { is_ok: ok, now: system_time(now).ok_or(ProbeAnswerError::Clock)? })
    }
}

/// The same time, where the clock of this machine has it.
fn system_time(time: OffsetDateTime) -> Option<SystemTime> {
    let nanos = time.unix_timestamp_nanos();
    let distance = nanos.unsigned_abs();
    let seconds = u64::try_from(distance / NANOS_PER_SECOND).ok()?;
    let distance = Duration::new(seconds, u32::try_from(distance % NANOS_PER_SECOND).ok()?);
    if nanos < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}
