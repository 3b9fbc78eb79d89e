//! What must hold when a node of ours serves, and the clients are a Go gate's.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Claim;
use super::client::Client;
use super::lab::{CLIENTS, Lab, ORDERED, Side, bodies};
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

/// Pushes that may be on their way to one client: a Go gate drops what is over 16.
const WINDOW: usize = 8;

/// How long it may take until the sessions of a gate that is gone end.
const END_TIME: Duration = Duration::from_secs(5);

fn joins(lab: &mut Lab) -> Result<Seen> {
    lab.start()?;
    lab.gate.start(false)?;
    let (_, after) = lab.wait_echo(Side::Go, "Room.Echo")?;
    Ok(Seen {
        count: "1/1".to_owned(),
        detail: format!("a client of the gate is answered {after:?} after its start"),
    })
}

fn requests(lab: &mut Lab) -> Result<Seen> {
    lab.requests(Side::Go, "Room")
}

fn keeps_order(lab: &mut Lab) -> Result<Seen> {
    let mut client = lab.client(Side::Go)?;
    let bodies = bodies(ORDERED);
    for body in &bodies {
        client.notify("Room.Note", body)?;
    }
    lab.dunlin.wait_bodies("called", &bodies)?;
    let (mut sent, mut came) = (0, 0);
    while came < ORDERED {
        while sent < ORDERED && sent - came < WINDOW {
            client.notify("Room.Say", &bodies[sent])?;
            sent += 1;
        }
        let push = client.push(TIME).with_context(|| format!("push {came} does not come"))?;
        ensure!(push == bodies[came], "push {push} comes where {came} is due");
        came += 1;
    }
    lab.dunlin.wait_bodies("called", &bodies)?;
    let detail = "notifies of one client here, and as many pushes back, in order".to_owned();
    Ok(Seen { count: format!("{ORDERED}/{ORDERED}"), detail })
}

/// A client, and its session as our node has it.
fn noted(lab: &mut Lab, body: &str) -> Result<(Client, String)> {
    let mut client = lab.client(Side::Go)?;
    client.notify("Room.Note", body)?;
    let called = lab.dunlin.wait("called", |called| called["body"] == *body)?;
    Ok((client, called["session"].as_str().context("a call without a session")?.to_owned()))
}

fn closes(lab: &mut Lab) -> Result<Seen> {
    // Those of the claims before have ended.
    while lab.dunlin.has_more("closed")? {}
    // More than a gate has connections, so that the end of some comes where nothing came before.
    let clients = (0..CLIENTS).map(|n| noted(lab, &format!("close {n}"))).collect::<Result<Vec<_>>>()?;
    for (client, session) in clients {
        drop(client);
        let closed = lab.dunlin.wait("closed", |_| true)?;
        ensure!(closed["session"] == *session, "session {} ends where {session} has", closed["session"]);
    }
    ensure!(!lab.dunlin.has_more("closed")?, "more sessions end than have, or one twice");
    let detail = format!("each of {CLIENTS} sessions ends here when its client is gone, and no other one");
    Ok(Seen { count: "once".to_owned(), detail })
}

fn kicks(lab: &mut Lab) -> Result<Seen> {
    let ((mut client, session), (mut other, _)) = (noted(lab, "kick")?, noted(lab, "stay")?);
    client.notify("Room.Bye", "!")?;
    ensure!(client.is_ended(TIME), "the client is not ended");
    lab.dunlin.wait("closed", |closed| closed["session"] == *session)?;
    let id = other.ask("Room.Echo", "still")?;
    other.answer(id, TIME).context("another client was ended as well")?;
    let detail = "the client that is meant is ended by the gate, and no other one".to_owned();
    Ok(Seen { count: "once".to_owned(), detail })
}

/// A session is there when something ends its gate. How long it lives then.
fn ended_after(lab: &mut Lab, end: impl FnOnce(&mut Lab) -> Result<()>) -> Result<Duration> {
    while lab.dunlin.has_more("closed")? {}
    let (_client, session) = noted(lab, "lost")?;
    let begin = Instant::now();
    end(lab)?;
    let closed = lab.dunlin.wait("closed", |closed| closed["session"] == *session)?;
    let elapsed = begin.elapsed();
    ensure!(closed["reason"] == "GateLost", "the session ends for {}", closed["reason"]);
    ensure!(elapsed < END_TIME, "the session ends after {elapsed:?}");
    let again = lab.dunlin.wait_within(END_TIME / 5, "closed", |closed| closed["session"] == *session)?;
    ensure!(again.is_none(), "the session ends twice");
    Ok(elapsed)
}

fn freezes(lab: &mut Lab) -> Result<Seen> {
    let ended = ended_after(lab, |lab| lab.gate.signal("STOP"))?;
    lab.gate.signal("CONT")?;
    let (_, back) = lab.wait_echo(Side::Go, "Room.Echo")?;
    let detail = format!(
        "until the sessions of a frozen gate end, once; a client is answered {back:?} after it is back"
    );
    Ok(Seen { count: format!("{ended:.1?}"), detail })
}

fn dies(lab: &mut Lab) -> Result<Seen> {
    let ended = ended_after(lab, |lab| {
        lab.gate.kill();
        Ok(())
    })?;
    if lab.master == Side::Go {
        // It takes nobody while a member is dead, and one of 0.5.0 never the same address again.
        lab.go_master.kill();
        lab.start_go_master()?;
    }
    lab.gate.start(false)?;
    let (_, back) = lab.wait_echo(Side::Go, "Room.Echo")?;
    let detail = format!(
        "until the sessions of a gate that died end, once; a client of its next life is answered {back:?} after its start"
    );
    Ok(Seen { count: format!("{ended:.1?}"), detail })
}

fn we_die(lab: &mut Lab) -> Result<Seen> {
    lab.dunlin.kill();
    lab.dunlin.start(true)?;
    let (_, back) = lab.wait_echo(Side::Go, "Room.Echo")?;
    let detail = format!("a client is answered by our next life {back:?} after it is up");
    Ok(Seen { count: "1/1".to_owned(), detail })
}

fn leaves(lab: &mut Lab) -> Result<Seen> {
    let begin = Instant::now();
    lab.dunlin.stop("INT")?;
    let stopped = begin.elapsed();
    lab.dunlin.start(true)?;
    let (_, back) = lab.wait_echo(Side::Go, "Room.Echo")?;
    let detail = format!(
        "our node stops within {stopped:?}, and a client is answered {back:?} after it is started again"
    );
    Ok(Seen { count: "1/1".to_owned(), detail })
}
