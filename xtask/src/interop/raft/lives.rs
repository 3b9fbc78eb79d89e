//! The claims about the lives of two members: silence, a death, and a farewell.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::json;

use super::claims::over_streams;
use super::lab::{Lab, Pair, until};
use super::member::Member;
use super::messages::Ends;
use crate::table::Seen;

/// How long a survivor may take to report that the other one is gone.
const LOSS_TIME: Duration = Duration::from_secs(15);

/// The pause between messages that find that out.
const LOSS_PAUSE: Duration = Duration::from_millis(50);

/// A silence in which both sides' limits of five seconds would end a stream without heartbeats.
const SILENCE: Duration = Duration::from_millis(6500);

/// Heartbeats in that time: etcd sends one every five thirds of a second.
const HEARTBEATS_MIN: usize = 3;

/// What one takes at least on each of the streams, as a chunk of its own.
const HEARTBEAT_LEN_MIN: [usize; 2] = [6, 30];

/// Probes that are looked at. Both send them every four seconds, etcd one for posts and one for streams.
const PROBES: usize = 2;

/// After that time etcd has judged what it was told: it looks every five seconds while it is not content.
const VERDICT_TIME: Duration = Duration::from_secs(6);

/// Both streams, as the receiver asks for them.
const STREAMS: [&str; 2] = ["GET /raft/stream/msgapp/", "GET /raft/stream/message/"];

/// Streams on which nothing is sent carry heartbeats of the link, and nobody dials them again.
///
/// That they are open is not enough: etcd sets a limit on the reads of its streams and then, in these versions, dials past it, so it
/// would keep a stream that is dead.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn silence(lab: &Lab) -> Result<Seen> {
    let mut pair = lab.pair()?;
    pair.open()?;
    let before = STREAMS.map(|stream| state(&pair, stream));
    // The limits are those of real sockets, so the time is real too.
    thread::sleep(SILENCE);
    let after = STREAMS.map(|stream| state(&pair, stream));
    for (nth, len_min) in HEARTBEAT_LEN_MIN.into_iter().enumerate() {
        let ((dials, len), (dials_then, len_then)) = (after[nth], before[nth]);
        ensure!(dials == dials_then, "{} was dialed anew in the silence", STREAMS[nth]);
        let heartbeats = (len - len_then) / len_min;
        ensure!(heartbeats >= HEARTBEATS_MIN, "{heartbeats} heartbeats came by {}", STREAMS[nth]);
    }
    let Seen { count, detail } = over_streams(&mut pair)?;
    let dials = |states: [(usize, usize); 2]| states.map(|(dials, _)| dials);
    let at_last = STREAMS.map(|stream| state(&pair, stream));
    ensure!(dials(at_last) == dials(after), "streams were dialed anew after the silence");
    let silence = SILENCE.as_millis();
    Ok(Seen { count, detail: format!("{silence} ms with heartbeats alone and no dial; {detail}") })
}

/// The sender answers the receiver's probes, and the receiver finds nothing wrong with that: etcd does not warn, and ours says so.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn probing(lab: &Lab) -> Result<Seen> {
    let mut pair = lab.pair()?;
    pair.open()?;
    let tap = &pair.from.tap;
    let answers = || tap.asked("GET /raft/probing").into_iter().filter(|probe| probe.status.is_some());
    until("both probes came", || answers().count() >= PROBES)?;
    let is_good = |answer: &str| answer.contains(r#"{"OK":true,"Now":""#);
    let bad = answers().find(|probe| probe.status != Some(200) || !is_good(&probe.answer));
    ensure!(bad.is_none(), "a probe was answered otherwise: {bad:?}");
    let mut is_it = |event: &serde_json::Value| {
        event["event"] == "warning" && event["text"].as_str().is_some_and(|text| text.contains("prober"))
    };
    let warning = pair.to.wait_within(VERDICT_TIME, &mut is_it)?;
    ensure!(warning.is_none(), "etcd warns: {warning:?}");
    if !lab.is_dunlin_sender() {
        pair.to.order(&json!({"do": "probed", "id": pair.from.plan.id}))?;
        let probed = pair.to.wait("its probes", |event| event["event"] == "probed")?;
        ensure!(probed["well"] == true, "dunlin finds of etcd: {}", probed["why"]);
    }
    let probes = answers().count();
    Ok(Seen { count: "200".into(), detail: format!("{probes} probes 200 and well, and no warning") })
}

/// How often this was asked for, and how many bytes came by it.
fn state(pair: &Pair, stream: &str) -> (usize, usize) {
    let asked = pair.from.tap.asked(stream);
    (asked.len(), asked.iter().map(|asked| asked.answer_len).sum())
}

/// A peer that the sender removes finds no stream; since it goes on asking and says its URL, it is a stranger who is reached by posts.
/// Added again it reads both streams. Then both stop.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn farewell(lab: &Lab) -> Result<Seen> {
    let mut pair = lab.pair()?;
    pair.open()?;
    pair.from.order(&json!({"do": "remove", "id": pair.to.plan.id}))?;
    for stream in STREAMS {
        let asked = || pair.from.tap.asked(stream);
        until("the receiver finds no stream", || asked().iter().any(|asked| asked.status == Some(404)))?;
    }
    let posts = pair.posts();
    pair.from.send(&pair.ends.greetings(0)[1..])?;
    pair.to.wait("a message", |event| event["event"] == "message" && event["message"]["commit"] == 0)?;
    ensure!(pair.posts() == posts + 1, "a message to a stranger did not go by a post");
    pair.from.meet(&pair.to)?;
    pair.greet()?;
    let Seen { count, detail } = over_streams(&mut pair)?;
    for member in [&mut pair.from, &mut pair.to] {
        member.order(&json!({"do": "stop"}))?;
    }
    Ok(Seen {
        count,
        detail: format!("removed: both streams 404, reached by a post; added again: {detail}; stopped"),
    })
}

/// A sender that was killed is missed, and read again when it is back.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn sender_dies(lab: &Lab) -> Result<Seen> {
    let mut pair = lab.pair()?;
    pair.open()?;
    pair.from.kill()?;
    lose(&mut pair.to, Ends { from: pair.ends.to, to: pair.ends.from })?;
    let begin = Instant::now();
    pair.from.start_again()?;
    pair.from.meet(&pair.to)?;
    come_back(&mut pair, begin)
}

/// A receiver that was killed is missed, and gets messages again when it is back.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn receiver_dies(lab: &Lab) -> Result<Seen> {
    let mut pair = lab.pair()?;
    pair.open()?;
    pair.to.kill()?;
    lose(&mut pair.from, pair.ends)?;
    let begin = Instant::now();
    pair.to.start_again()?;
    pair.to.meet(&pair.from)?;
    come_back(&mut pair, begin)
}

/// Sends until the survivor reports that nobody is there.
fn lose(survivor: &mut Member, ends: Ends) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < LOSS_TIME {
        survivor.send(&ends.greetings(0))?;
        let mut is_it = |event: &serde_json::Value| event["event"] == "unreachable" && event["id"] == ends.to;
        if survivor.wait_within(LOSS_PAUSE, &mut is_it)?.is_some() {
            return Ok(());
        }
    }
    bail!("{} does not notice that the other one is gone", survivor.plan.name)
}

fn come_back(pair: &mut Pair, begin: Instant) -> Result<Seen> {
    pair.greet()?;
    let took = begin.elapsed().as_millis();
    let Seen { count, detail } = over_streams(pair)?;
    Ok(Seen { count, detail: format!("missed, back on both streams after {took} ms; {detail}") })
}
