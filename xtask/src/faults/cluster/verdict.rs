//! What must hold in the end, whatever happened: no answer lost or doubled, none out of order or for somebody else, no session left.

use std::time::Duration;

use super::crowd::Seen;
use super::nodes::{Gauges, Nodes};
use crate::table::{Cell, Outcome};
use crate::wait::wait;

/// How long nodes may know sessions of clients that have gone: a link that is silent, and the time for its node to come back.
const FORGET_TIME: Duration = Duration::from_secs(10);

/// Code of a refusal because a node was lost, or none was reached.
const UNAVAILABLE: &str = "503";

/// Each claim with what became of it.
pub(super) fn judge(nodes: &Nodes, seen: &Seen, detected: &[String], may_refuse: bool) -> Vec<Cell> {
    let counted = |count: String, detail: String| Outcome::Counted { count, detail };
    let plain = |count: u64| counted(count.to_string(), String::new());
    let none = |what: &str| match seen.count(what) {
        0 => plain(0),
        count => Outcome::Failed(format!("{count}: {}", seen.told())),
    };
    let moved: Vec<_> = seen.moved().into_iter().filter(|moved| moved.moved > 0).collect();
    let last = moved.iter().map(|moved| moved.last_ms).max();
    let mut how: Vec<String> = moved
        .iter()
        .map(|moved| {
            format!("{}: {} clients served elsewhere within {} ms", moved.node, moved.moved, moved.last_ms)
        })
        .collect();
    how.extend(detected.iter().cloned());
    let moved = counted(last.map_or_else(|| "-".to_owned(), |last| format!("{last} ms")), how.join("; "));
    let claims = [
        ("requests", plain(seen.count("asked"))),
        ("pushes", plain(seen.count("pushes"))),
        ("refused", refused(seen, may_refuse)),
        ("cut", cut(seen)),
        ("lost", none("lost")),
        ("twice", none("duplicates")),
        ("order", none("order")),
        ("receiver", none("receivers")),
        ("push lost", none("pushes_lost")),
        ("strange", none("strange")),
        ("leaked", leaked(nodes)),
        ("overtaken", plain(seen.count("overtaken"))),
        ("anew", plain(seen.count("begun_anew"))),
        ("moved", moved),
    ];
    claims.into_iter().map(|(claim, outcome)| Cell { claim: claim.to_owned(), outcome }).collect()
}

fn refused(seen: &Seen, may_refuse: bool) -> Outcome {
    let codes = seen.kinds("refused");
    let all: u64 = codes.iter().map(|(_, count)| count).sum();
    let is_allowed = codes.iter().all(|(code, _)| may_refuse && code == UNAVAILABLE);
    let words =
        codes.iter().map(|(code, count)| format!("{count} with {code}")).collect::<Vec<_>>().join(", ");
    if is_allowed {
        Outcome::Counted { count: all.to_string(), detail: words }
    } else {
        Outcome::Failed(format!("{words}; {}", seen.told()))
    }
}

/// Requests on connections that ended: whether those were handled nobody knows.
fn cut(seen: &Seen) -> Outcome {
    let kinds = seen.kinds("cut");
    let all: u64 = kinds.iter().map(|(_, count)| count).sum();
    let words = kinds.iter().map(|(how, count)| format!("{count} {how}")).collect::<Vec<_>>().join(", ");
    Outcome::Counted { count: all.to_string(), detail: words }
}

/// All clients have gone, so that no node may know a session.
fn leaked(nodes: &Nodes) -> Outcome {
    let known = |gauges: Gauges| gauges.sessions + gauges.travellers + gauges.visitors;
    let left = || {
        let left = nodes.all().iter().map(|node| (&node.name, node.gauges().map(known)));
        left.filter(|(_, known)| *known != Some(0)).collect::<Vec<_>>()
    };
    match wait("nobody is known", FORGET_TIME, || left().is_empty().then_some(())) {
        Ok(()) => Outcome::Counted { count: "0".to_owned(), detail: String::new() },
        Err(error) => Outcome::Failed(format!("{error:#}: {:?}", left())),
    }
}
