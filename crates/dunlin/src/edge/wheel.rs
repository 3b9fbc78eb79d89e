//! A coarse timer wheel: one entry for each place in the table, 100 ms wide slots, re-armed lazily.
//!
//! Pure: time is a number of ticks given by the caller. An entry further away than one turn of the wheel waits in
//! the last slot and is armed anew when it comes up.

use std::collections::VecDeque;

/// The width of a slot.
pub(crate) const TICK_MS: u64 = 100;
/// Slots of the wheel: one turn is 51.2 s, longer than the default heartbeat interval.
const SLOTS: u32 = 512;

/// A point in time of the wheel, in ticks since the shard began.
pub(crate) type Tick = u32;

/// The wheel of one shard.
#[derive(Debug)]
pub(crate) struct Wheel {
    slots: Vec<Vec<(u32, Tick)>>,
    now: Tick,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self { slots: vec![Vec::new(); SLOTS as usize], now: 0 }
    }

    /// The tick in which a deadline in milliseconds is certain to have passed.
    pub(crate) fn tick_after(deadline_ms: u64) -> Tick {
        Tick::try_from(deadline_ms / TICK_MS + 1).unwrap_or(Tick::MAX)
    }

    /// Arms a place for `at` and returns the tick it will really come up in, which names the entry: an entry whose
    /// tick is not the one its owner remembers is out of date.
    pub(crate) fn arm(&mut self, index: u32, at: Tick) -> Tick {
        let at = at.clamp(self.now + 1, self.now + SLOTS - 1);
        if let Some(slot) = self.slots.get_mut((at % SLOTS) as usize) {
            slot.push((index, at));
        }
        at
    }

    /// Moves on to `now` and hands over what came up, each with the tick it was armed for.
    pub(crate) fn advance(&mut self, now: Tick, due: &mut VecDeque<(u32, Tick)>) {
        while self.now < now {
            self.now += 1;
            if let Some(slot) = self.slots.get_mut((self.now % SLOTS) as usize) {
                due.extend(slot.drain(..));
                // A burst of connections leaves no buffer behind for ever.
                slot.shrink_to(64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_up_in_its_tick_and_once() {
        let mut wheel = Wheel::new();
        let at = wheel.arm(1, 5);
        let mut due = VecDeque::new();
        wheel.advance(4, &mut due);
        assert!(due.is_empty());
        wheel.advance(5, &mut due);
        assert_eq!(due, [(1, at)]);
        due.clear();
        wheel.advance(2_000, &mut due);
        assert!(due.is_empty());
    }

    #[test]
    fn an_entry_beyond_one_turn_comes_up_early_to_be_armed_anew() {
        let mut wheel = Wheel::new();
        assert!(wheel.arm(1, 100_000) < 100_000);
    }

    #[test]
    fn a_deadline_is_never_served_before_it_has_passed() {
        for deadline_ms in [0, 1, 99, 100, 101, 12_345] {
            assert!(u64::from(Wheel::tick_after(deadline_ms)) * TICK_MS > deadline_ms);
        }
    }
}
