//! Who may come in: limits on connections in total, for each address, and on how fast they come.
//!
//! One gate for all shards. What it turns away is counted, and reported at most once a second.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dunlin_cluster::is_near;

/// The limits; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AcceptLimits {
    pub(crate) connections_max: Option<usize>,
    pub(crate) connections_per_address_max: Option<u32>,
    pub(crate) connections_per_private_address_max: Option<u32>,
    pub(crate) accepts_per_second_max: Option<u32>,
}

impl AcceptLimits {
    /// How many connections one address may have. An address of this machine or of a private network is a proxy's or a
    /// colleague's: from outside nobody comes from one.
    fn of_address(&self, from: IpAddr) -> Option<u32> {
        if is_near(from) {
            self.connections_per_private_address_max
        } else {
            self.connections_per_address_max
        }
    }
}

/// An address has as many connections as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressFull;

/// Decides on each new connection.
#[derive(Debug)]
pub(crate) struct AcceptGate {
    limits: AcceptLimits,
    open: AtomicUsize,
    shed: AtomicU64,
    last_report_s: AtomicU64,
    by_address: Mutex<HashMap<NonZeroU64, u32>>,
    rate: Mutex<Rate>,
}

#[derive(Debug, Default)]
struct Rate {
    second: u64,
    count: u32,
}

/// One admitted connection; dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Permit {
    gate: Arc<AcceptGate>,
    _address: Option<AddressPermit>,
}

/// One connection of an address; dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct AddressPermit {
    gate: Arc<AcceptGate>,
    address: NonZeroU64,
}

impl AcceptGate {
    pub(crate) fn new(limits: AcceptLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            open: AtomicUsize::new(0),
            shed: AtomicU64::new(0),
            last_report_s: AtomicU64::new(u64::MAX),
            by_address: Mutex::default(),
            rate: Mutex::default(),
        })
    }

    /// Admits a connection, or turns it away and counts it. `from` is `None` when a proxy has yet to say where it is from.
    pub(crate) fn admit(self: &Arc<Self>, from: Option<IpAddr>, now_ms: u64) -> Option<Permit> {
        let permit = self.count_in(from);
        let is_slow_enough = permit.is_some() && self.is_within_rate(now_ms);
        if is_slow_enough {
            return permit;
        }
        self.shed.fetch_add(1, Ordering::Relaxed);
        self.report_shed(now_ms);
        None
    }

    /// Counts a connection against the limit of its address, if there is one.
    pub(crate) fn admit_address(
        self: &Arc<Self>,
        from: IpAddr,
    ) -> Result<Option<AddressPermit>, AddressFull> {
        let Some(max) = self.limits.of_address(from) else { return Ok(None) };
        let address = address_key(from);
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        if *count >= max {
            if *count == 0 {
                by_address.remove(&address);
            }
            return Err(AddressFull);
        }
        *count += 1;
        Ok(Some(AddressPermit { gate: self.clone(), address }))
    }

    /// Counts a connection that was turned away after it had been admitted.
    pub(crate) fn turn_away(&self) {
        self.shed.fetch_add(1, Ordering::Relaxed);
    }

    /// Turns away a connection that is no proxy's where only those may come.
    pub(crate) fn refuse_stranger(&self, from: IpAddr, now_ms: u64) {
        self.turn_away();
        if self.may_report(now_ms) {
            tracing::warn!(%from, "connections that come from no proxy are turned away");
        }
    }

    fn report_shed(&self, now_ms: u64) {
        if self.may_report(now_ms) {
            let shed = self.shed.load(Ordering::Relaxed);
            tracing::warn!(shed, limits = ?self.limits, "connections are turned away");
        }
    }

    /// Connections turned away so far.
    pub(crate) fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// Says, at most once a second, that the system has no descriptor left.
    pub(crate) fn report_exhausted(&self, error: &io::Error, now_ms: u64) {
        if self.may_report(now_ms) {
            tracing::warn!(%error, "no descriptor for another connection; accepting pauses");
        }
    }

    fn may_report(&self, now_ms: u64) -> bool {
        let second = now_ms / 1000;
        self.last_report_s.swap(second, Ordering::Relaxed) != second
    }

    fn count_in(self: &Arc<Self>, from: Option<IpAddr>) -> Option<Permit> {
        let open = self.open.fetch_add(1, Ordering::AcqRel);
        // From here on the drop of the permit counts it out again.
        let mut permit = Permit { gate: self.clone(), _address: None };
        if self.limits.connections_max.is_some_and(|max| open >= max) {
            return None;
        }
        if let Some(from) = from {
            permit._address = self.admit_address(from).ok()?;
        }
        Some(permit)
    }

    fn is_within_rate(&self, now_ms: u64) -> bool {
        let Some(max) = self.limits.accepts_per_second_max else { return true };
        let second = now_ms / 1000;
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        // Shards count from slightly different beginnings: one that lags does not open the second anew.
        if second > rate.second {
            *rate = Rate { second, count: 0 };
        }
        rate.count = rate.count.saturating_add(1);
        rate.count <= max
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut by_address = self.gate.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// An address as a number: all of an IPv4 address, the network half of an IPv6 one, since a host owns a whole /64.
/// The marks keep the two apart: no IPv6 network in use begins with the bits `1000`.
fn address_key(address: IpAddr) -> NonZeroU64 {
    let key = match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64 & !(1 << 63) | 1 << 62,
    };
    NonZeroU64::MIN.saturating_add(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([203, 0, 113, last]))
    }

    #[test]
    fn connections_over_the_total_are_turned_away_and_a_closed_one_makes_room() {
        let gate = AcceptGate::new(AcceptLimits { connections_max: Some(2), ..AcceptLimits::default() });
        let first = gate.admit(address(1), 0).unwrap();
        let _second = gate.admit(address(2), 0).unwrap();
        assert!(gate.admit(address(3), 0).is_none());
        assert_eq!(gate.shed(), 1);
        drop(first);
        assert!(gate.admit(address(3), 0).is_some());
    }

    #[test]
    fn one_address_cannot_take_the_place_of_others() {
        let limits = AcceptLimits { connections_per_address_max: Some(1), ..AcceptLimits::default() };
        let gate = AcceptGate::new(limits);
        let first = gate.admit(address(1), 0).unwrap();
        assert!(gate.admit(address(1), 0).is_none());
        assert!(gate.admit(address(2), 0).is_some());
        drop(first);
        assert!(gate.admit(address(1), 0).is_some());
        assert!(gate.by_address.lock().unwrap().is_empty(), "addresses without connections are forgotten");
    }

    #[test]
    fn addresses_of_this_machine_and_of_private_networks_have_a_limit_of_their_own() {
        let limits = AcceptLimits { connections_per_address_max: Some(1), ..AcceptLimits::default() };
        let private =
            ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.9", "::ffff:10.1.2.3", "fd00::1", "fe80::1"];
        for from in private.map(|from| from.parse::<IpAddr>().unwrap()) {
            assert_eq!(limits.of_address(from), None, "{from}");
            let limits = AcceptLimits { connections_per_private_address_max: Some(2), ..limits };
            assert_eq!(limits.of_address(from), Some(2), "{from}");
        }
        for from in ["203.0.113.7", "100.64.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert_eq!(limits.of_address(from.parse().unwrap()), Some(1), "{from}");
        }
    }

    #[test]
    fn accepts_beyond_the_rate_wait_for_the_next_second() {
        let limits = AcceptLimits { accepts_per_second_max: Some(1), ..AcceptLimits::default() };
        let gate = AcceptGate::new(limits);
        assert!(gate.admit(address(1), 10).is_some());
        assert!(gate.admit(address(1), 999).is_none());
        assert!(gate.admit(address(1), 1000).is_some());
    }

    #[test]
    fn a_shard_whose_clock_lags_does_not_begin_the_second_anew() {
        let limits = AcceptLimits { accepts_per_second_max: Some(1), ..AcceptLimits::default() };
        let gate = AcceptGate::new(limits);
        assert!(gate.admit(address(1), 1000).is_some());
        for (shard_a_ms, shard_b_ms) in [(1001, 999), (1002, 998)] {
            assert!(gate.admit(address(1), shard_b_ms).is_none());
            assert!(gate.admit(address(1), shard_a_ms).is_none());
        }
    }

    #[test]
    fn an_ipv6_host_is_counted_by_its_network() {
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let two: IpAddr = "2001:db8::2".parse().unwrap();
        let other: IpAddr = "2001:db8:1::1".parse().unwrap();
        assert_eq!(address_key(one), address_key(two));
        assert_ne!(address_key(one), address_key(other));
    }
}
