//! How many lines one place in the code may write: pure, the clock is its caller's.
//!
//! Whoever can cause a line can cause a million. Each place has ten lines a second; what is beyond is counted and told
//! of once the second is over. Places are fixed when the program is compiled, so what is kept here is bounded.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Lines that one place may write in one [`WINDOW`].
pub(super) const LINES_MAX: u32 = 10;
/// How long a count lasts.
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// What all places have written lately.
#[derive(Debug)]
pub(super) struct Budgets<Place> {
    spent: HashMap<Place, Spent>,
    /// Places of which something is to be told.
    over: Vec<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Spent {
    since: Duration,
    lines: u32,
    held_back: u64,
}

/// Lines of one place that were not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeldBack<Place> {
    pub(super) place: Place,
    pub(super) lines: u64,
}

impl<Place: Copy + Eq + Hash> Budgets<Place> {
    pub(super) fn new() -> Self {
        Self { spent: HashMap::new(), over: Vec::new() }
    }

    /// Counts one line, and tells whether it may be written.
    pub(super) fn admit(&mut self, now: Duration, place: Place) -> bool {
        let fresh = Spent { since: now, lines: 0, held_back: 0 };
        let spent = self.spent.entry(place).or_insert(fresh);
        if spent.held_back == 0 && now.saturating_sub(spent.since) >= WINDOW {
            *spent = fresh;
        }
        if spent.lines < LINES_MAX {
            spent.lines += 1;
            return true;
        }
        if spent.held_back == 0 {
            self.over.push(place);
        }
        spent.held_back += 1;
        false
    }

    /// Takes one place whose second is over and of which lines were held back. Asked before lines are counted, so that
    /// each second of a place is told of by itself.
    pub(super) fn take_held_back(&mut self, now: Duration) -> Option<HeldBack<Place>> {
        let is_over = |place: &Place| {
            self.spent.get(place).is_none_or(|spent| now.saturating_sub(spent.since) >= WINDOW)
        };
        let place = self.over.swap_remove(self.over.iter().position(is_over)?);
        let spent = self.spent.remove(&place)?;
        Some(HeldBack { place, lines: spent.held_back })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_place_that_writes_without_end_gets_its_lines_and_one_word_about_the_rest() {
        let mut budgets = Budgets::new();
        let written = (0..1000).filter(|_| budgets.admit(ms(5), "a")).count();
        assert_eq!(written, 10);
        assert_eq!(budgets.take_held_back(ms(1004)), None, "the second is not over");
        assert_eq!(budgets.take_held_back(ms(1005)), Some(HeldBack { place: "a", lines: 990 }));
        assert_eq!(budgets.take_held_back(ms(1005)), None, "it is told once");
        assert!(budgets.admit(ms(1005), "a"), "a new second");
    }

    #[test]
    fn one_place_does_not_spend_what_others_have() {
        let mut budgets = Budgets::new();
        assert_eq!((0..100).filter(|_| budgets.admit(ms(0), 1)).count(), 10);
        assert_eq!((0..100).filter(|_| budgets.admit(ms(0), 2)).count(), 10);
        let told = [budgets.take_held_back(ms(1000)), budgets.take_held_back(ms(1000))];
        assert!(told.iter().flatten().all(|told| told.lines == 90) && told.iter().flatten().count() == 2);
    }

    #[test]
    fn a_steady_trickle_is_never_held_back() {
        let mut budgets = Budgets::new();
        assert!((0..1000).all(|n| budgets.admit(ms(n * 101), ())));
        assert!(budgets.over.is_empty());
    }
}
