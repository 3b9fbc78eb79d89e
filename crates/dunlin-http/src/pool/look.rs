//! What can be seen of the pool.

use std::collections::BTreeMap;
use std::hash::Hash;

use super::{ConnId, Phase, Pool};
use crate::stats::{CloseCause, ConnStats};

impl<K: Hash + Eq + Clone> Pool<K> {
    /// All hosts together, and each by itself.
    pub(crate) fn stats(&self) -> (ConnStats, Vec<(K, ConnStats)>) {
        let mut total = self.totals;
        let mut hosts: BTreeMap<_, _> = self.keys.iter().map(|(host, state)| (host, state.stats)).collect();
        for conn in self.conns.values() {
            let Some(stats) = hosts.get_mut(&conn.host) else { continue };
            match conn.phase {
                Phase::Dialing { .. } => stats.dialing += 1,
                Phase::Closing => stats.closing += 1,
                Phase::Open if conn.idle_since.is_none() => stats.active += 1,
                Phase::Open => {}
            }
        }
        let mut keyed = Vec::with_capacity(hosts.len());
        for (host, mut stats) in hosts {
            let Some(state) = self.keys.get(host) else { continue };
            stats.waiting = state.idle_waiters.len();
            total.idle += stats.idle;
            total.active += stats.active;
            total.dialing += stats.dialing;
            total.closing += stats.closing;
            total.waiting += stats.waiting;
            keyed.push((state.key.clone(), stats));
        }
        (total, keyed)
    }

    /// Why it takes no more requests, if so.
    pub(crate) fn retired(&self, id: ConnId) -> Option<CloseCause> {
        self.conns.get(id).and_then(|conn| conn.retired)
    }

    /// What a connection is for.
    #[cfg(test)]
    pub(super) fn key_of(&self, id: ConnId) -> K {
        let host = self.conns.get(id).map(|conn| conn.host);
        host.and_then(|host| self.keys.get(host)).map(|state| state.key.clone()).expect("it is known")
    }
}
