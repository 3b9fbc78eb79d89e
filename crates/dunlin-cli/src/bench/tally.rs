//! What came of requests: counts and times, from many clients into one.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Times are counted in microseconds up to an hour, to three digits.
const TIME_MAX_US: u64 = 3_600_000_000;

/// A server may answer with any number; beyond so many different ones they are counted together.
const CODES_MAX: usize = 32;

/// What came of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer with so many bytes.
    Answered { len: usize },
    /// An error of the server with this code.
    Refused { code: u32 },
    /// No answer in time.
    TimedOut,
    /// The connection ended before the answer.
    Disconnected,
}

/// Counts.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// Requests or notifications that were sent.
    pub(super) sent: u64,
    /// Answers to them, errors too.
    pub(super) answered: u64,
    /// Answers, errors too, that came while it was measured, whenever they were asked for.
    pub(super) came: u64,
    pub(super) errors: BTreeMap<u32, u64>,
    /// Errors of codes beyond the bound.
    pub(super) other_errors: u64,
    /// Lost: counted in the warm-up too.
    pub(super) timed_out: u64,
    pub(super) disconnected: u64,
    /// Due by the schedule, but there were as many unanswered as may be.
    pub(super) unsent: u64,
    /// Clients whose connection ended before the run did.
    pub(super) dropped: u64,
    pub(super) pushes: u64,
    pub(super) bytes_out: u64,
    pub(super) bytes_in: u64,
    pub(super) times_us: Histogram<u64>,
}

impl Tally {
    /// Nothing yet.
    ///
    /// # Errors
    ///
    /// Never with these bounds, which is for the histogram to know.
    pub(super) fn new() -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self {
            sent: 0,
            answered: 0,
            came: 0,
            errors: BTreeMap::new(),
            other_errors: 0,
            timed_out: 0,
            disconnected: 0,
            unsent: 0,
            dropped: 0,
            pushes: 0,
            bytes_out: 0,
            bytes_in: 0,
            times_us: Histogram::new_with_bounds(1, TIME_MAX_US, 3)?,
        })
    }

    /// A request that counts was sent with a body of so many bytes.
    pub(super) fn send(&mut self, body_len: usize) {
        self.sent += 1;
        self.bytes_out += count(body_len);
    }

    /// What came of a request, how long after it was to be sent; one of the warm-up only counts if it is lost.
    pub(super) fn end(&mut self, outcome: Outcome, took: Duration, is_measured: bool) {
        match outcome {
            Outcome::TimedOut => self.timed_out += 1,
            Outcome::Disconnected => self.disconnected += 1,
            Outcome::Answered { .. } | Outcome::Refused { .. } if !is_measured => {}
            Outcome::Answered { len } => {
                self.bytes_in += count(len);
                self.answer(took);
            }
            Outcome::Refused { code } => {
                if self.errors.len() < CODES_MAX || self.errors.contains_key(&code) {
                    *self.errors.entry(code).or_default() += 1;
                } else {
                    self.other_errors += 1;
                }
                self.answer(took);
            }
        }
    }

    fn answer(&mut self, took: Duration) {
        self.answered += 1;
        self.times_us.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// A push with so many bytes.
    pub(super) fn push(&mut self, len: usize) {
        self.pushes += 1;
        self.bytes_in += count(len);
    }

    /// Requests without an answer.
    pub(super) fn lost(&self) -> u64 {
        self.timed_out + self.disconnected
    }

    /// Takes the counts of another in.
    pub(super) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.came += other.came;
        self.other_errors += other.other_errors;
        self.timed_out += other.timed_out;
        self.disconnected += other.disconnected;
        self.unsent += other.unsent;
        self.dropped += other.dropped;
        self.pushes += other.pushes;
        self.bytes_out += other.bytes_out;
        self.bytes_in += other.bytes_in;
        for (code, errors) in &other.errors {
            *self.errors.entry(*code).or_default() += errors;
        }
        // The bounds are the same, so that nothing is outside of them.
        self.times_us.add(&other.times_us).unwrap_or_default();
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn answers_of_the_warm_up_do_not_count_and_its_losses_do() {
        let mut tally = Tally::new().unwrap();
        tally.end(Outcome::Answered { len: 3 }, MS, false);
        tally.end(Outcome::Refused { code: 404 }, MS, false);
        assert_eq!((tally.answered, tally.bytes_in, tally.times_us.len()), (0, 0, 0));
        tally.end(Outcome::TimedOut, MS, false);
        tally.end(Outcome::Disconnected, MS, true);
        assert_eq!(tally.lost(), 2);
    }

    #[test]
    fn tallies_of_many_clients_are_one() {
        let mut all = Tally::new().unwrap();
        for code in [404, 503] {
            let mut one = Tally::new().unwrap();
            one.send(7);
            one.end(Outcome::Answered { len: 2 }, MS, true);
            one.end(Outcome::Refused { code }, 3 * MS, true);
            one.push(5);
            all.add(&one);
        }
        assert_eq!((all.sent, all.answered, all.pushes), (2, 4, 2));
        assert_eq!((all.bytes_out, all.bytes_in), (14, 14));
        assert_eq!(all.errors, BTreeMap::from([(404, 1), (503, 1)]));
        assert_eq!((all.times_us.len(), all.times_us.min(), all.times_us.max() / 10), (4, 1000, 300));
    }

    #[test]
    fn a_server_with_endless_codes_costs_no_endless_memory() {
        let mut tally = Tally::new().unwrap();
        for code in 0..1000 {
            tally.end(Outcome::Refused { code }, MS, true);
        }
        assert_eq!((tally.errors.len(), tally.other_errors), (CODES_MAX, 968));
    }
}
