//! How a bot's tadpole swims: in curves of its own, away from the shore. Pure; chance is an argument.

use std::f64::consts::{PI, TAU};

use super::messages::{POND_LEN, Spot};

/// How far from the shore a tadpole begins to turn, as a part of the pond.
const SHORE: f64 = 0.12;

/// Where a tadpole is, as parts of the pond from 0 to 1, and where it is headed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Swimmer {
    x: f64,
    y: f64,
    heading: f64,
    /// How much it turns, which changes more slowly than its heading.
    turn: f64,
    speed: f64,
}

impl Swimmer {
    /// One anywhere in the pond; each `random` is drawn evenly from 0 to 1.
    pub(super) fn new(mut random: impl FnMut() -> f64) -> Self {
        Self {
            x: SHORE + random() * (1.0 - 2.0 * SHORE),
            y: SHORE + random() * (1.0 - 2.0 * SHORE),
            heading: random() * TAU,
            turn: 0.0,
            speed: 0.04 + 0.05 * random(),
        }
    }

    pub(super) fn spot(&self) -> Spot {
        let place = |part: f64| (part.clamp(0.0, 1.0) * f64::from(POND_LEN)).round() as u16;
        Spot { x: place(self.x), y: place(self.y) }
    }

    /// Swims for some seconds.
    pub(super) fn swim(&mut self, seconds: f64, random: f64) {
        self.turn = self.turn * (1.0 - 0.8 * seconds) + (random - 0.5) * 9.0 * seconds;
        self.heading += (self.turn + self.away_from_shore()) * seconds;
        // A little burst now and then.
        let pace = 1.0 + 0.5 * self.turn.abs().min(1.0);
        self.x = (self.x + self.heading.cos() * self.speed * pace * seconds).clamp(0.0, 1.0);
        self.y = (self.y + self.heading.sin() * self.speed * pace * seconds).clamp(0.0, 1.0);
    }

    /// How fast to turn towards the middle: not at all unless the shore is near and ahead.
    fn away_from_shore(&self) -> f64 {
        let nearness = [self.x, 1.0 - self.x, self.y, 1.0 - self.y].into_iter().fold(1.0, f64::min);
        if nearness >= SHORE {
            return 0.0;
        }
        let to_middle = (0.5 - self.y).atan2(0.5 - self.x);
        let off = (to_middle - self.heading + PI).rem_euclid(TAU) - PI;
        off * 3.0 * (1.0 - nearness / SHORE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tadpole_stays_in_the_pond_keeps_moving_and_is_seldom_at_the_shore() {
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut swimmer = Swimmer::new(|| random.f64());
            let (mut at_shore, mut still) = (0, 0);
            for _ in 0..2_000 {
                let before = swimmer.spot();
                swimmer.swim(0.12, random.f64());
                let Spot { x, y } = swimmer.spot();
                at_shore += u32::from([x, y].iter().any(|place| *place == 0 || *place == POND_LEN));
                still += u32::from(before == swimmer.spot());
            }
            assert!(at_shore < 40, "seed {seed}: {at_shore} of 2000 steps at the shore");
            assert!(still < 40, "seed {seed}: {still} of 2000 steps without moving");
        }
    }
}
