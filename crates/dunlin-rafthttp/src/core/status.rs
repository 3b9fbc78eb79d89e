//! Whether a peer is there, by what its channels say.
//!
//! A peer is active while one of its channels is: one that fails says nothing against the others.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Channel;

/// What the channels of a peer say.
#[derive(Debug, Clone, Default)]
pub(crate) struct PeerStatus {
    channels: BTreeMap<Channel, ChannelState>,
    active_since: Option<Instant>,
}

/// What one channel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelState {
    /// It works, since then.
    Active(Instant),
    /// It does not, since then and for this reason.
    Failed(Instant, String),
}

impl PeerStatus {
    /// A channel works. Returns whether the peer came back by that.
    pub(crate) fn handle_active(&mut self, now: Instant, channel: Channel) -> bool {
        if !matches!(self.channels.get(&channel), Some(ChannelState::Active(_))) {
            self.channels.insert(channel, ChannelState::Active(now));
        }
        let came_back = self.active_since.is_none();
        self.active_since.get_or_insert(now);
        came_back
    }

    /// A channel failed. Returns whether the peer went away by that.
    pub(crate) fn handle_failed(&mut self, now: Instant, channel: Channel, reason: &str) -> bool {
        match self.channels.get_mut(&channel) {
            // Since when it fails is worth more than how often.
            Some(ChannelState::Failed(_, why)) => reason.clone_into(why),
            _ => drop(self.channels.insert(channel, ChannelState::Failed(now, reason.to_owned()))),
        }
        self.look()
    }

    /// A channel is no more, through no fault. Returns whether the peer went away by that.
    pub(crate) fn handle_closed(&mut self, channel: Channel) -> bool {
        self.channels.remove(&channel);
        self.look()
    }

    fn look(&mut self) -> bool {
        let is_active = self.channels.values().any(|state| matches!(state, ChannelState::Active(_)));
        !is_active && self.active_since.take().is_some()
    }

    /// Since when at least one channel has worked without a break.
    #[must_use]
    pub(crate) const fn active_since(&self) -> Option<Instant> {
        self.active_since
    }

    /// Every channel that was heard of.
    pub(crate) fn channels(&self) -> impl Iterator<Item = (Channel, &ChannelState)> {
        self.channels.iter().map(|(channel, state)| (*channel, state))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::StreamKind;

    #[test]
    fn a_peer_is_active_while_one_of_its_channels_is() {
        let (start, mut status) = (Instant::now(), PeerStatus::default());
        let stream = Channel::Stream(StreamKind::Message);
        assert!(status.handle_active(start, stream));
        assert!(!status.handle_active(start + Duration::from_secs(1), Channel::Pipeline));
        assert!(!status.handle_failed(start, stream, "reset"));
        assert_eq!(status.active_since(), Some(start));
        assert!(status.handle_failed(start, Channel::Pipeline, "refused"));
        assert_eq!(status.active_since(), None);
        assert!(!status.handle_failed(start, Channel::Pipeline, "refused again"));
    }

    #[test]
    fn a_failing_channel_says_since_when_and_why_it_failed_last() {
        let (start, mut status) = (Instant::now(), PeerStatus::default());
        status.handle_failed(start, Channel::Pipeline, "refused");
        status.handle_failed(start + Duration::from_secs(1), Channel::Pipeline, "timed out");
        let states: Vec<_> = status.channels().collect();
        assert_eq!(states, [(Channel::Pipeline, &ChannelState::Failed(start, "timed out".into()))]);
    }
}
