//! What must hold when a Go node serves, and the clients are of a gate of ours.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Claim;
use super::client::Client;
use super::lab::{CLIENTS, Lab, NOT_FOUND, ORDERED, Side, bodies};
use super::node::TIME;
use crate::table::Seen;

pub(super) const CLAIMS: [Claim; 9] = [
    ("joins", joins),
    ("requests", requests),
    ("order", keeps_order),
    ("closes", closes),
    ("kicks", kicks),
    ("freezes", freezes),
    ("dies", dies),
    ("we die", we_die),
    ("leaves", leaves),
];

/// How long it may take until a node that died is avoided.
const AVOID_TIME: Duration = Duration::from_secs(1);

/// How long it may take until one that is frozen is.
const FREEZE_TIME: Duration = Duration::from_secs(4);

/// How an answer begins that there is nobody to be asked.
const UNAVAILABLE: &str = r#"{"code":503,"#;

fn joins(lab: &mut Lab) -> Result<Seen> {
    lab.start()?;
    lab.backend.start(true)?;
    let (_, after) = lab.wait_echo(Side::Dunlin, "Game.Echo")?;
    Ok(Seen {
        count: "1/1".to_owned(),
        detail: format!("it answers a client {after:?} after it is a member"),
    })
}

fn requests(lab: &mut Lab) -> Result<Seen> {
    lab.requests(Side::Dunlin, "Game")
}

fn keeps_order(lab: &mut Lab) -> Result<Seen> {
    let mut client = lab.client(Side::Dunlin)?;
    let bodies = bodies(ORDERED);
    for body in &bodies {
        client.notify("Game.Say", body)?;
    }
    lab.backend.wait_bodies("said", &bodies)?;
    for body in &bodies {
        let push = client.push(TIME).with_context(|| format!("push {body} does not come"))?;
        ensure!(push == *body, "push {push} comes where {body} is due");
    }
    ensure!(client.push(Duration::from_millis(300)).is_none(), "more pushes come than were sent");
    let detail = "notifies of one client there, and as many pushes back, in order".to_owned();
    Ok(Seen { count: format!("{ORDERED}/{ORDERED}"), detail })
}

/// A client that the backend knows by this name.
fn named(lab: &Lab, name: &str) -> Result<Client> {
    let mut client = lab.client(Side::Dunlin)?;
    let id = client.ask("Game.Name", name)?;
    client.answer(id, TIME).context("the backend does not answer")?;
    Ok(client)
}

fn closes(lab: &mut Lab) -> Result<Seen> {
    // Those of the claims before have ended.
    while lab.backend.has_more("closed")? {}
    for n in 0..CLIENTS {
        let name = format!("client {n}");
        drop(named(lab, &name)?);
        lab.backend.wait("closed", |closed| closed["name"] == *name)?;
    }
    ensure!(!lab.backend.has_more("closed")?, "more sessions end than have, or one twice");
    let detail = format!("each of {CLIENTS} sessions ends there when its client is gone, and no other one");
    Ok(Seen { count: "once".to_owned(), detail })
}

fn kicks(lab: &mut Lab) -> Result<Seen> {
    let (mut client, mut other) = (named(lab, "kicked")?, named(lab, "stays")?);
    client.notify("Game.Bye", "!")?;
    ensure!(client.is_ended(TIME), "the client is not ended");
    let id = other.ask("Game.Echo", "still")?;
    other.answer(id, TIME).context("another client was ended as well")?;
    let detail = "the client that the backend means is ended, and no other one".to_owned();
    Ok(Seen { count: "once".to_owned(), detail })
}

/// A request waits while the backend does what ends it. The client that asks, and how long it has to wait then.
fn lost_after(lab: &mut Lab, end: impl FnOnce(&mut Lab) -> Result<()>) -> Result<(Client, Duration)> {
    let mut client = named(lab, "waits")?;
    let id = client.ask("Game.Never", "?")?;
    // The backend takes calls of a client in order, so when this is pushed back it has the other one.
    client.notify("Game.Say", "there?")?;
    client.push(TIME).context("the backend does not push")?;
    let begin = Instant::now();
    end(lab)?;
    let answer = client.answer(id, TIME).context("who asked a node that is gone is not told")?;
    ensure!(answer.starts_with(UNAVAILABLE), "who asked a node that is gone is answered with {answer}");
    Ok((client, begin.elapsed()))
}

fn freezes(lab: &mut Lab) -> Result<Seen> {
    let (mut client, lost) = lost_after(lab, |lab| lab.backend.signal("STOP"))?;
    ensure!(lost < FREEZE_TIME, "who asked a node that froze waits for {lost:?}");
    let id = client.ask("Game.Echo", "?")?;
    let answer = client.answer(id, AVOID_TIME).context("a frozen node is not avoided")?;
    ensure!(answer.starts_with(UNAVAILABLE), "with a frozen node a client is answered with {answer}");
    lab.backend.signal("CONT")?;
    let (_, back) = lab.wait_echo(Side::Dunlin, "Game.Echo")?;
    let detail = format!("until who asked a frozen node is told; it answers {back:?} after it is back");
    Ok(Seen { count: format!("{lost:.1?}"), detail })
}

fn dies(lab: &mut Lab) -> Result<Seen> {
    let (mut client, lost) = lost_after(lab, |lab| {
        lab.backend.kill();
        Ok(())
    })?;
    ensure!(lost < AVOID_TIME, "who asked a node that died waits for {lost:?}");
    let mut detail = format!("who asked it is told after {lost:?}");
    if lab.master == Side::Dunlin {
        let (_, gone) = lab.wait_answer(Side::Dunlin, "Game.Echo", |answer| answer.starts_with(NOT_FOUND))?;
        detail.push_str(&format!(", it is no member any more after {gone:?}"));
        lab.backend.start(true)?;
    } else {
        // A Go master takes nobody while a member is dead, and one of 0.5.0 never finds out.
        lab.go_master.kill();
        lab.start_go_master()?;
        lab.other_backend.start(true)?;
    }
    let (_, back) = lab.wait_echo(Side::Dunlin, "Game.Echo")?;
    let id = client.ask("Game.Echo", "again")?;
    let answer = client.answer(id, TIME).context("the client that was there is not answered any more")?;
    ensure!(answer == "again", "the client that was there is answered with {answer}");
    detail.push_str(&format!(
        ", another one answers {back:?} after it is a member, also the client that was with the first"
    ));
    Ok(Seen { count: format!("{lost:.1?}"), detail })
}

fn we_die(lab: &mut Lab) -> Result<Seen> {
    lab.dunlin.kill();
    lab.dunlin.start(true)?;
    let (_, back) = lab.wait_echo(Side::Dunlin, "Game.Echo")?;
    let detail = format!("a client of our next life is answered {back:?} after that is up");
    Ok(Seen { count: "1/1".to_owned(), detail })
}

fn leaves(lab: &mut Lab) -> Result<Seen> {
    let signals = [&lab.backend, &lab.other_backend].map(|backend| backend.signal("TERM"));
    ensure!(signals.iter().any(Result::is_ok), "no backend runs");
    let is_gone = |answer: &str| answer.starts_with(NOT_FOUND) || answer.starts_with(UNAVAILABLE);
    let (_, gone) = lab.wait_answer(Side::Dunlin, "Game.Echo", is_gone)?;
    let detail = format!("a backend that stops is asked no more after {gone:?}");
    Ok(Seen { count: "1/1".to_owned(), detail })
}
