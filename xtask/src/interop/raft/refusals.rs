//! The claims about two members that do not get along: the sender refuses the receiver's streams and posts, and the receiver
//! understands why.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::lab::{Lab, Pair, until};
use super::member::{CLUSTER, Plan};
use super::messages::Ends;
use crate::table::Seen;

/// A version below every etcd 3.
const OLD: &str = "2.3.0";

/// A cluster's version above all that there is.
const NEW: &str = "9.0.0";

/// What a member asks of the one that it wants to read from.
const STREAMS: [&str; 2] = ["GET /raft/stream/msgapp/", "GET /raft/stream/message/"];
const POST: &str = "POST /raft";

/// A member that was removed is told so with 410 on both streams, and gives up.
///
/// A post of its is answered 403 by ours. What etcd answers is not its transport's to say.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn removed(lab: &Lab) -> Result<Seen> {
    let mut pair = lab.pair()?;
    pair.from.order(&json!({"do": "removed", "id": pair.to.plan.id}))?;
    pair.to.meet(&pair.from)?;
    let critical = pair.to.wait("its removal", |event| event["event"] == "critical")?;
    for stream in STREAMS {
        refused(&pair, stream, 410, "removed member")?;
    }
    let said = critical["why"].as_str().unwrap_or_default();
    let mut seen =
        Seen { count: "410".into(), detail: format!("both streams 410; the receiver says: {said}") };
    if lab.is_dunlin_sender() {
        post_greeting(&mut pair)?;
        refused(&pair, POST, 403, "removed")?;
        seen.count.push_str(" 403");
        seen.detail.push_str("; a post 403");
    }
    Ok(seen)
}

/// A member of another cluster is refused with 412 on both streams and at a post.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn cluster(lab: &Lab) -> Result<Seen> {
    mismatch(lab, "cluster ID mismatch", |to| to.cluster = CLUSTER + 1)
}

/// A member whose version is too old, or wants a newer cluster than ours is, is refused with 412 on both streams and at a post.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn version(lab: &Lab) -> Result<Seen> {
    let text = "incompatible version";
    let mut seen = mismatch(lab, text, |to| to.more = json!({"version": OLD})).context("too old")?;
    // Our transport lets nobody choose the oldest cluster that it works with.
    if lab.is_dunlin_sender() {
        let newer = mismatch(lab, text, |to| to.more = json!({"min_cluster_version": NEW}));
        let Seen { detail, .. } = newer.context("too new")?;
        seen.detail = format!("of {OLD}: {}; with {NEW} at least: {detail}", seen.detail);
    }
    Ok(seen)
}

fn mismatch(lab: &Lab, text: &str, set: impl FnOnce(&mut Plan)) -> Result<Seen> {
    let mut pair = lab.pair_with(set)?;
    pair.to.meet(&pair.from)?;
    post_greeting(&mut pair)?;
    for asked in [STREAMS[0], STREAMS[1], POST] {
        refused(&pair, asked, 412, text)?;
    }
    pair.to.wait("that it is not reached", |event| event["event"] == "unreachable")?;
    let taken = pair.from.untold("message");
    ensure!(taken == 0, "{taken} messages were taken all the same");
    ensure!(pair.to.untold("critical") == 0, "the receiver believes that it was removed");
    Ok(Seen { count: "412".into(), detail: format!("both streams and a post 412 `{text}`") })
}

/// Lets the receiver send something, which goes by a post while it is not read.
fn post_greeting(pair: &mut Pair) -> Result<()> {
    let back = Ends { from: pair.ends.to, to: pair.ends.from };
    pair.to.send(&back.greetings(1)[1..])
}

/// Waits until the sender has refused this, with this text.
fn refused(pair: &Pair, asked: &str, status: u16, text: &str) -> Result<()> {
    let answers = || pair.from.tap.asked(asked);
    let is_refused = || answers().iter().any(|a| a.status == Some(status) && a.answer.contains(text));
    let waited = until(&format!("{asked} is answered {status} `{text}`"), is_refused);
    waited.with_context(|| {
        let seen: Vec<_> = answers().iter().filter_map(|answer| answer.status).take(5).collect();
        format!("{} answered {seen:?}", pair.from.plan.name)
    })?;
    let others = answers().iter().filter(|answer| answer.status.is_some_and(|seen| seen != status)).count();
    ensure!(others == 0, "{others} answers to {asked} were others than {status}");
    Ok(())
}
