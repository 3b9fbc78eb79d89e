//! When requests are to be sent at a given rate: fixed before the run, so that a slow server does not slow the load down.

use std::time::Duration;

/// So many requests a second, by so many clients in turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) rate: u32,
    pub(super) clients: u32,
}

impl Schedule {
    /// When request number `n` of all is to be sent, from the begin on.
    pub(super) fn at(&self, n: u64) -> Duration {
        let nanos = u128::from(n) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Whose turn request number `n` is.
    pub(super) fn client(&self, n: u64) -> usize {
        usize::try_from(n % u64::from(self.clients)).unwrap_or(0)
    }
}

/// The turns of one client: its requests in order, each at its time.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    schedule: Schedule,
    next: u64,
    end: Duration,
}

impl Turns {
    /// The turns of a client until the end.
    pub(super) fn new(schedule: Schedule, client: u32, end: Duration) -> Self {
        Self { schedule, next: client.into(), end }
    }

    /// Takes the next request if its time has come: when it was to be sent.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<Duration> {
        let at = self.schedule.at(self.next);
        if at > now || at >= self.end {
            return None;
        }
        self.next += u64::from(self.schedule.clients);
        Some(at)
    }

    /// How many were due by the end and were not taken.
    pub(super) fn missed(mut self) -> u64 {
        let mut missed = 0;
        while self.take_due(self.end).is_some() {
            missed += 1;
        }
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Duration = Duration::from_secs(1);

    #[test]
    fn clients_share_the_rate_evenly_and_in_turns() {
        let schedule = Schedule { rate: 10, clients: 3 };
        let mut all: Vec<_> = (0..3)
            .flat_map(|client| {
                let mut turns = Turns::new(schedule, client, END);
                std::iter::from_fn(move || turns.take_due(END))
            })
            .collect();
        all.sort();
        let tenths: Vec<_> = (0..10).map(|n| Duration::from_millis(100 * n)).collect();
        assert_eq!(all, tenths);
        assert_eq!((0..5).map(|n| schedule.client(n)).collect::<Vec<_>>(), [0, 1, 2, 0, 1]);
    }

    #[test]
    fn a_request_keeps_its_time_however_late_it_is_sent() {
        let mut turns = Turns::new(Schedule { rate: 10, clients: 1 }, 0, END);
        assert_eq!(turns.take_due(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(turns.take_due(Duration::from_millis(99)), None);
        // The server stood still for long.
        let late = Duration::from_millis(350);
        let caught_up: Vec<_> = std::iter::from_fn(|| turns.take_due(late)).collect();
        assert_eq!(caught_up, [100, 200, 300].map(Duration::from_millis));
    }

    #[test]
    fn what_could_not_be_sent_by_the_end_is_counted() {
        let mut turns = Turns::new(Schedule { rate: 10, clients: 1 }, 0, END);
        for _ in 0..4 {
            turns.take_due(END).unwrap();
        }
        assert_eq!(turns.missed(), 6);
    }

    #[test]
    fn high_rates_lose_no_time_to_rounding() {
        let schedule = Schedule { rate: 3, clients: 1 };
        assert_eq!(schedule.at(3_000_000_000), Duration::from_secs(1_000_000_000));
    }
}
