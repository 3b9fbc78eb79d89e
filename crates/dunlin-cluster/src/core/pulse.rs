//! Whether a link lives: something was heard of its other end not long ago.

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pulse {
    heard_at: Instant,
    silence_max: Duration,
}

impl Pulse {
    /// A link that has just begun, and may be silent for so long.
    pub(crate) const fn new(now: Instant, silence_max: Duration) -> Self {
        Self { heard_at: now, silence_max }
    }

    /// Something was heard.
    pub(crate) fn handle_heard(&mut self, now: Instant) {
        self.heard_at = self.heard_at.max(now);
    }

    /// When it will be dead if nothing is heard until then.
    pub(crate) fn dies_at(&self) -> Instant {
        self.heard_at + self.silence_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_dies_of_silence_and_not_before() {
        let begin = Instant::now();
        let second = Duration::from_secs(1);
        let mut pulse = Pulse::new(begin, second * 2);
        assert_eq!(pulse.dies_at(), begin + second * 2);
        pulse.handle_heard(begin + second);
        assert_eq!(pulse.dies_at(), begin + second * 3);
        pulse.handle_heard(begin);
        assert_eq!(pulse.dies_at(), begin + second * 3, "what was heard before is no news");
    }
}
