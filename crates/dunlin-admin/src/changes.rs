//! What is told of two looks at a cluster: pure.

use std::collections::BTreeMap;

use crate::events::{Event, EventKind};

/// A look at what can be seen from this process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Look {
    /// The nodes of the cluster by id: name and state.
    pub(crate) nodes: BTreeMap<u64, (String, &'static str)>,
    /// Who leads, by name, if anybody is known to; and the term.
    pub(crate) leader: Option<(Option<String>, u64)>,
    /// Links from a node of this process to another: whether they are there.
    pub(crate) links: BTreeMap<(String, String), bool>,
    /// What nodes of this process have counted, by node and what.
    pub(crate) counts: BTreeMap<(String, &'static str), u64>,
}

/// What counters of nodes are told of, and how.
pub(crate) const COUNTED: [(&str, EventKind, &str); 7] = [
    ("slow_clients", EventKind::Clients, "disconnected as too slow"),
    ("protocol_faults", EventKind::Clients, "closed for breaking the protocol"),
    ("handshakes_timed_out", EventKind::Clients, "closed without a handshake in time"),
    ("origins_refused", EventKind::Clients, "refused for their origin"),
    ("connections_shed", EventKind::Clients, "turned away by a limit"),
    ("panics", EventKind::Handlers, "panics of handlers"),
    ("timeouts", EventKind::Handlers, "handlers that took too long"),
];

/// What happened between two looks.
pub(crate) fn changes(before: &Look, after: &Look) -> Vec<Event> {
    let mut events = Vec::new();
    nodes(before, after, &mut events);
    if after.leader != before.leader {
        events.extend(leader(after));
    }
    for ((from, to), is_up) in &after.links {
        let was_up = before.links.get(&(from.clone(), to.clone()));
        if was_up.is_none_or(|was_up| was_up != is_up) {
            let text = match is_up {
                true => format!("{from} is linked with {to}"),
                false if was_up.is_some() => format!("{from} lost its link to {to}"),
                false => continue,
            };
            events.push(Event::new(EventKind::Link, text));
        }
    }
    for (what, kind, words) in COUNTED {
        for ((node, _), count) in after.counts.iter().filter(|((_, counted), _)| *counted == what) {
            let counted_before = before.counts.get(&(node.clone(), what)).copied().unwrap_or_default();
            let more = count.saturating_sub(counted_before);
            if more > 0 {
                events.push(Event::new(kind, format!("{node}: {more} {words}")));
            }
        }
    }
    events
}

fn nodes(before: &Look, after: &Look, events: &mut Vec<Event>) {
    let mut tell = |text: String| events.push(Event::new(EventKind::Node, text));
    for (id, (name, state)) in &after.nodes {
        match before.nodes.get(id) {
            None => tell(format!("{name} came, {state}")),
            Some((_, was)) if was != state => tell(format!("{name} is {state}")),
            Some(_) => {}
        }
    }
    for (id, (name, _)) in &before.nodes {
        if !after.nodes.contains_key(id) {
            tell(format!("{name} is gone"));
        }
    }
}

fn leader(after: &Look) -> Option<Event> {
    let text = match after.leader.as_ref()? {
        (Some(name), term) => format!("{name} leads in term {term}"),
        (None, term) => format!("nobody leads, in term {term}; traffic goes on, changes wait"),
    };
    Some(Event::new(EventKind::Leader, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(leader: Option<&str>, term: u64) -> Look {
        Look { leader: Some((leader.map(str::to_owned), term)), ..Look::default() }
    }

    fn texts(before: &Look, after: &Look) -> Vec<String> {
        changes(before, after).into_iter().map(|event| event.text).collect()
    }

    #[test]
    fn a_new_leader_is_told_once() {
        assert_eq!(texts(&look(Some("n1"), 1), &look(None, 2)).len(), 1);
        assert_eq!(texts(&look(None, 2), &look(Some("n2"), 2)), ["n2 leads in term 2"]);
        assert!(texts(&look(Some("n2"), 2), &look(Some("n2"), 2)).is_empty());
    }

    #[test]
    fn nodes_that_come_change_and_go_are_told() {
        let of = |nodes: &[(u64, &str, &'static str)]| Look {
            nodes: nodes.iter().map(|(id, name, state)| (*id, ((*name).to_owned(), *state))).collect(),
            ..Look::default()
        };
        let before = of(&[(1, "n1", "up"), (2, "n2", "up")]);
        let after = of(&[(2, "n2", "draining"), (3, "n1", "joining")]);
        assert_eq!(texts(&before, &after), ["n2 is draining", "n1 came, joining", "n1 is gone"]);
    }

    #[test]
    fn links_are_told_when_they_come_and_when_they_are_lost_and_not_before_they_were() {
        let of = |is_up| Look {
            links: BTreeMap::from([(("n1".to_owned(), "n2".to_owned()), is_up)]),
            ..Look::default()
        };
        assert!(texts(&Look::default(), &of(false)).is_empty());
        assert_eq!(texts(&of(false), &of(true)), ["n1 is linked with n2"]);
        assert_eq!(texts(&of(true), &of(false)), ["n1 lost its link to n2"]);
    }

    #[test]
    fn what_is_counted_is_told_by_how_much_more_it_is() {
        let of = |count| Look {
            counts: BTreeMap::from([(("n1".to_owned(), "slow_clients"), count)]),
            ..Look::default()
        };
        assert_eq!(texts(&of(2), &of(5)), ["n1: 3 disconnected as too slow"]);
        assert!(texts(&of(5), &of(5)).is_empty());
        assert!(texts(&of(5), &of(0)).is_empty(), "a node that began anew counts from nothing");
    }
}
