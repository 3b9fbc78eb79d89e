//! The claims about two members that get along: what is sent arrives as it was, in order and by the way it should.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::lab::{Lab, Pair, until};
use super::member::ANSWER_TIME;
use super::messages::TYPES;
use super::tap::Tap;
use crate::table::Seen;

/// Appends in a row.
const APPENDS: usize = 1000;

/// How long all of them may take.
const APPENDS_TIME: Duration = Duration::from_secs(20);

/// Bytes of a database: a few megabytes, and no round number.
const DATABASE_LEN: usize = (5 << 20) + 17;

/// The index of its snapshot.
const DATABASE_INDEX: u64 = 0x1_23ab;

/// Messages of the samples that are snapshots, which always go by a post.
const SNAPSHOTS: usize = 2;

fn counted(count: usize, of: usize) -> String {
    format!("{count}/{of}")
}

/// Every type of message arrives equal over the streams, and only snapshots go by a post.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn streams(lab: &Lab) -> Result<Seen> {
    let mut pair = lab.pair()?;
    pair.open()?;
    over_streams(&mut pair)
}

/// Every type once more, on streams that are open.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn over_streams(pair: &mut Pair) -> Result<Seen> {
    let samples = pair.ends.samples();
    let (posts, lost) = (pair.posts(), pair.from.untold("unreachable"));
    let equal = pair.exchange(&samples)?;
    let posted = pair.posts() - posts;
    ensure!(posted == SNAPSHOTS, "{posted} messages went by a post, of which {SNAPSHOTS} should");
    for _ in 0..SNAPSHOTS {
        let report = pair.from.wait("a snapshot", |event| event["event"] == "snapshot")?;
        ensure!(report["finished"] == true, "a snapshot arrived and was reported as lost");
    }
    let lost = pair.from.untold("unreachable") - lost;
    ensure!(lost == 0, "{lost} messages arrived and the receiver was reported as unreachable");
    let detail = format!(
        "{} types, {equal} sent, {equal} received, {equal} equal; {posted} snapshots by posts",
        TYPES.len()
    );
    Ok(Seen { count: counted(equal, samples.len()), detail })
}

/// Every type arrives equal by posts alone, where the receiver knows the sender by a URL at which nobody answers, so that it
/// reads no stream.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn pipeline(lab: &Lab) -> Result<Seen> {
    let mut pair = lab.pair()?;
    let nowhere = Tap::open()?;
    pair.to.meet_at(&pair.from, &nowhere)?;
    pair.from.meet(&pair.to)?;
    let samples = pair.ends.samples();
    let equal = pair.exchange(&samples)?;
    let tap = &pair.to.tap;
    until("every post is answered", || tap.asked("POST /raft").iter().all(|post| post.status.is_some()))?;
    let posts = tap.asked("POST /raft");
    let taken = posts.iter().filter(|post| post.status == Some(204)).count();
    ensure!(posts.len() == equal && taken == equal, "{equal} messages, {} posts, {taken} taken", posts.len());
    let streams = pair.from.tap.asked("GET /raft/stream/").len();
    ensure!(streams == 0, "the receiver found the sender and asked for {streams} streams");
    let detail =
        format!("{} types, {equal} sent, {equal} received, {equal} equal; {taken} posts", TYPES.len());
    Ok(Seen { count: counted(equal, samples.len()), detail })
}

/// A thousand appends that are sent at once all arrive over the msgapp stream, equal and in order.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn order(lab: &Lab) -> Result<Seen> {
    let mut pair = lab.pair()?;
    pair.open()?;
    let sent = pair.ends.appends(APPENDS);
    let (posts, appended) = (pair.posts(), pair.appended_len());
    let begin = Instant::now();
    pair.from.send(&sent)?;
    let mut received = Vec::with_capacity(APPENDS);
    while received.len() < APPENDS {
        let left = APPENDS_TIME.saturating_sub(begin.elapsed());
        match pair.to.next_message(left)? {
            Some(message) => received.push(message),
            None => break,
        }
    }
    let took = begin.elapsed();
    let equal = sent.iter().filter(|message| received.contains(message)).count();
    let in_order = sent.iter().zip(&received).filter(|(sent, came)| sent == came).count();
    let counts = format!(
        "{APPENDS} sent, {} received, {equal} equal, {in_order} in order, in {} ms",
        received.len(),
        took.as_millis(),
    );
    ensure!(received.len() == APPENDS && equal == APPENDS && in_order == APPENDS, counts);
    let posted = pair.posts() - posts;
    ensure!(posted == 0, "{posted} of them went by a post");
    let bytes = pair.appended_len() - appended;
    ensure!(bytes > APPENDS, "the msgapp stream carried {bytes} bytes only");
    Ok(Seen {
        count: counted(in_order, APPENDS),
        detail: format!("{counts}; {bytes} bytes of the msgapp stream"),
    })
}

/// A snapshot with a database arrives as a message and as a file with the same bytes, under etcd's name.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn snapshot(lab: &Lab) -> Result<Seen> {
    let mut pair = lab.pair()?;
    pair.from.meet(&pair.to)?;
    let (path, database) = lab.database(DATABASE_LEN)?;
    let message = pair.ends.snapshot_message(DATABASE_INDEX);
    pair.from.order(&json!({"do": "snapshot", "messages": [message], "database": path}))?;
    let sent = pair.from.wait("its database", |event| event["event"] == "database")?;
    let posts = pair.to.tap.asked("POST /raft/snapshot");
    ensure!(sent["arrived"] == true, "the sender says that the database did not arrive: {posts:?}");
    let report = pair.from.wait("a snapshot", |event| event["event"] == "snapshot")?;
    ensure!(report["finished"] == true, "the snapshot was reported as lost");
    let came = pair.to.next_message(ANSWER_TIME)?.context("the message did not arrive")?;
    ensure!(came == message, "the message came otherwise");
    ensure!(posts.len() == 1 && posts[0].status == Some(204), "it was posted otherwise: {posts:?}");
    let files: Vec<_> = fs::read_dir(&pair.to.plan.dir)?.collect::<Result<_, _>>()?;
    let names: Vec<_> = files.iter().map(fs::DirEntry::file_name).collect();
    let name = format!("{DATABASE_INDEX:016x}.snap.db");
    ensure!(names == [name.as_str()], "the receiver keeps {names:?} instead of {name}");
    let kept = fs::read(pair.to.plan.dir.join(&name))?;
    ensure!(
        kept == database,
        "the file has {} bytes and differs from the {} sent",
        kept.len(),
        database.len()
    );
    let detail =
        format!("{} bytes sent, {} bytes kept as {name}, equal; the message too", database.len(), kept.len());
    Ok(Seen { count: format!("{} MiB", kept.len() >> 20), detail })
}

/// A database that ends before its announced length arrives neither as a message nor as a file, and its loss is reported.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn cut_snapshot(lab: &Lab) -> Result<Seen> {
    let mut pair = lab.pair()?;
    pair.from.meet(&pair.to)?;
    let (path, database) = lab.database(DATABASE_LEN)?;
    let (message, announced) = (pair.ends.snapshot_message(DATABASE_INDEX), DATABASE_LEN + 1);
    let command = json!({
        "do": "snapshot", "messages": [message], "database": path, "database_len": announced,
    });
    pair.from.order(&command)?;
    let sent = pair.from.wait("its database", |event| event["event"] == "database")?;
    ensure!(sent["arrived"] == false, "the sender says that the database arrived");
    let report = pair.from.wait("a snapshot", |event| event["event"] == "snapshot")?;
    ensure!(report["finished"] == false, "the snapshot was reported as arrived");
    let dir = &pair.to.plan.dir;
    until("nothing is left of it", || fs::read_dir(dir).is_ok_and(|mut files| files.next().is_none()))?;
    ensure!(pair.to.untold("message") == 0, "the message was taken without its database");
    let detail =
        format!("{announced} bytes announced, {} sent: no file, no message, reported", database.len());
    Ok(Seen { count: "none".into(), detail })
}
