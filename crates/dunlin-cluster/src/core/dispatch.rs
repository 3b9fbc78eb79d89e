//! Which node a call goes to.

use sha1_smol::Sha1;

/// How a node is chosen among those that have a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Policy {
    /// The one that the session was with before; else one by chance, with which it stays then. Order holds for a session and a service.
    #[default]
    Sticky,
    /// The one on which the fewest calls of this node wait, for each call anew. A session's calls may overtake each other.
    LeastLoaded,
    /// The one that a key names: the same for the same key as long as the same nodes are there. Without a key as [`Sticky`](Self::Sticky).
    Hash,
}

/// A node that could be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub node: u64,
    /// Calls of this node that wait for its answer.
    pub in_flight: usize,
}

/// Chooses a node. `bound` is where the session is with this service, `key` what a hash is of, `random` any number. `None` when there is nobody.
#[must_use]
pub fn choose(
    policy: Policy,
    candidates: &[Candidate],
    bound: Option<u64>,
    key: Option<&[u8]>,
    random: u64,
) -> Option<u64> {
    match (policy, key) {
        (Policy::LeastLoaded, _) => {
            let least = candidates.iter().map(|candidate| candidate.in_flight).min()?;
            let idle: Vec<u64> = candidates
                .iter()
                .filter(|candidate| candidate.in_flight == least)
                .map(|candidate| candidate.node)
                .collect();
            pick(&idle, random)
        }
        // Of all nodes the one with the greatest score: when a node goes, only its keys move.
        (Policy::Hash, Some(key)) => {
            candidates.iter().map(|candidate| candidate.node).max_by_key(|node| (score(*node, key), *node))
        }
        (Policy::Sticky | Policy::Hash, _) => {
            let is_there = |node: &u64| candidates.iter().any(|candidate| candidate.node == *node);
            bound.filter(is_there).or_else(|| {
                let nodes: Vec<u64> = candidates.iter().map(|candidate| candidate.node).collect();
                pick(&nodes, random)
            })
        }
    }
}

fn pick(nodes: &[u64], random: u64) -> Option<u64> {
    let place = random.checked_rem(nodes.len() as u64)?;
    nodes.get(usize::try_from(place).ok()?).copied()
}

/// The same on all nodes, whatever they were built with.
fn score(node: u64, key: &[u8]) -> u64 {
    let mut hash = Sha1::new();
    hash.update(&node.to_be_bytes());
    hash.update(key);
    let [a, b, c, d, e, f, g, h, ..] = hash.digest().bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(nodes: &[u64]) -> Vec<Candidate> {
        nodes.iter().map(|node| Candidate { node: *node, in_flight: 0 }).collect()
    }

    #[test]
    fn a_session_stays_where_it_is_until_that_node_is_gone() {
        let nodes = of(&[1, 2, 3]);
        for random in 0..10 {
            assert_eq!(choose(Policy::Sticky, &nodes, Some(2), None, random), Some(2));
        }
        assert_eq!(choose(Policy::Sticky, &of(&[1]), Some(2), None, 7), Some(1));
        assert_eq!(choose(Policy::Sticky, &[], Some(2), None, 7), None);
    }

    #[test]
    fn the_least_loaded_is_one_of_those_with_the_fewest_calls() {
        let loads = [(1, 5), (2, 3), (3, 3)].map(|(node, in_flight)| Candidate { node, in_flight });
        let chosen: std::collections::BTreeSet<_> =
            (0..10).filter_map(|random| choose(Policy::LeastLoaded, &loads, Some(1), None, random)).collect();
        assert_eq!(chosen.into_iter().collect::<Vec<_>>(), [2, 3]);
    }

    proptest! {
        #[test]
        fn when_a_node_goes_only_its_keys_move(keys in proptest::collection::vec(any::<u64>(), 1..50), gone in 1_u64..6) {
            let all = of(&[1, 2, 3, 4, 5]);
            let left: Vec<Candidate> = all.iter().copied().filter(|candidate| candidate.node != gone).collect();
            for key in keys {
                let key = key.to_be_bytes();
                let before = choose(Policy::Hash, &all, None, Some(&key), 0).unwrap();
                let after = choose(Policy::Hash, &left, None, Some(&key), 0).unwrap();
                prop_assert!(before == after || before == gone);
            }
        }
    }
}
