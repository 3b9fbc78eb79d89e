//! What must hold when a node of ours serves, and the clients are a Go gate's.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Claim;
use super::lab::{Lab, bodies};
use super::node::TIME;
use crate::interop::table::Seen;

pub(super) const CLAIMS: [Claim; 8] = [
    ("joins", joins),
    ("requests", requests),
    ("order", keeps_order),
    ("closes", closes),
    ("kicks", kicks),
    ("freezes", freezes),
    ("dies", dies),
    ("we die", we_die),
];

/// Clients, and requests of each of them.
const CLIENTS: usize = 10;
const CALLS: usize = 100;

/// Messages of one client in a row.
const ORDERED: usize = 1_000;

/// Pushes and answers that may be on their way to one client: a Go gate drops what is over 16.
const WINDOW: usize = 8;

fn joins(lab: &mut Lab) -> Result<Seen> {
    lab.start()?;
    lab.gate.start(false)?;
    let (_, after) = lab.wait_answered("Room.Echo")?;
    Ok(Seen {
        count: "1/1".to_owned(),
        detail: format!("a client of the gate is answered {after:?} after its start"),
    })
}

fn requests(lab: &mut Lab) -> Result<Seen> {
    let begin = Instant::now();
    let mut clients = (0..CLIENTS).map(|_| lab.client()).collect::<Result<Vec<_>>>()?;
    for n in 0..CALLS {
        let mut asked = Vec::new();
        for (place, client) in clients.iter_mut().enumerate() {
            asked.push(client.ask("Room.Echo", &format!("{place}/{n}"))?);
        }
        for (place, (client, id)) in clients.iter_mut().zip(asked).enumerate() {
            let answer = client.answer(id, TIME).with_context(|| format!("{place}/{n} is not answered"))?;
            ensure!(answer == format!("{place}/{n}"), "{place}/{n} is answered with {answer}");
        }
    }
    let elapsed = begin.elapsed();
    let id = clients[0].ask("Room.Nowhere", "?")?;
    let refusal = clients[0].answer(id, TIME).context("a route that is not there is not answered")?;
    ensure!(refusal == r#"{"code":404,"message":"no"}"#, "an error is answered with {refusal}");
    let total = CLIENTS * CALLS;
    Ok(Seen {
        count: format!("{total}/{total}"),
        detail: format!(
            "of {CLIENTS} clients at a time, in {elapsed:?}; an error is answered with {refusal}"
        ),
    })
}

fn keeps_order(lab: &mut Lab) -> Result<Seen> {
    // What was called before is not counted.
    while lab.dunlin.has_more("called")? {}
    let mut client = lab.client()?;
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
    Ok(Seen {
        count: format!("{ORDERED}/{ORDERED}"),
        detail: "notifies of one client here, and as many pushes back, in order".to_owned(),
    })
}

/// A client, and its session as our node has it.
fn noted(lab: &mut Lab, body: &str) -> Result<(super::client::Client, u64)> {
    let mut client = lab.client()?;
    client.notify("Room.Note", body)?;
    let called = lab.dunlin.wait("called", |called| called["body"] == *body)?;
    Ok((client, called["session"].as_u64().context("a call without a session")?))
}

fn closes(lab: &mut Lab) -> Result<Seen> {
    // Those of the claims before have ended.
    while lab.dunlin.has_more("ended")? {}
    // More than a gate has connections, so that the end of some comes where nothing came before.
    let clients = (0..CLIENTS).map(|n| noted(lab, &format!("close {n}"))).collect::<Result<Vec<_>>>()?;
    for (client, session) in clients {
        drop(client);
        let ended = lab.dunlin.wait("ended", |_| true)?;
        ensure!(ended["session"] == session, "session {} ends where {session} has", ended["session"]);
    }
    ensure!(!lab.dunlin.has_more("ended")?, "more sessions end than have, or one twice");
    Ok(Seen {
        count: "once".to_owned(),
        detail: format!("each of {CLIENTS} sessions ends here when its client is gone, and no other one"),
    })
}

fn kicks(lab: &mut Lab) -> Result<Seen> {
    let (mut client, session) = noted(lab, "kick")?;
    let (mut other, _) = noted(lab, "stay")?;
    client.notify("Room.Bye", "!")?;
    ensure!(client.is_ended(TIME), "the client is not ended");
    lab.dunlin.wait("ended", |ended| ended["session"] == session)?;
    let id = other.ask("Room.Echo", "still")?;
    other.answer(id, TIME).context("another client was ended as well")?;
    Ok(Seen {
        count: "once".to_owned(),
        detail: "the client that is meant is ended by the gate, and no other one".to_owned(),
    })
}

fn forgotten_after(lab: &mut Lab, end: impl FnOnce(&mut Lab) -> Result<()>) -> Result<Duration> {
    noted(lab, "forget")?;
    while lab.dunlin.has_more("accepted")? || lab.dunlin.has_more("forgot")? {}
    let begin = Instant::now();
    end(lab)?;
    lab.dunlin.wait("forgot", |_| true)?;
    let elapsed = begin.elapsed();
    ensure!(elapsed < Duration::from_secs(5), "the sessions end after {elapsed:?}");
    ensure!(!lab.dunlin.has_more("forgot")?, "the sessions end twice");
    Ok(elapsed)
}

fn freezes(lab: &mut Lab) -> Result<Seen> {
    let forgotten = forgotten_after(lab, |lab| lab.gate.signal("STOP"))?;
    lab.gate.signal("CONT")?;
    let (_, back) = lab.wait_answered("Room.Echo")?;
    Ok(Seen {
        count: format!("{forgotten:.1?}"),
        detail: format!(
            "until the sessions of a frozen gate end, once; a client is answered {back:?} after it is back"
        ),
    })
}

fn dies(lab: &mut Lab) -> Result<Seen> {
    let forgotten = forgotten_after(lab, |lab| {
        lab.gate.kill();
        Ok(())
    })?;
    let mut detail = "until the sessions of a gate that died end, once".to_owned();
    if lab.master == super::Side::Dunlin {
        lab.gate.start(false)?;
        let (_, back) = lab.wait_answered("Room.Echo")?;
        detail.push_str(&format!("; a client of its next life is answered {back:?} after its start"));
    } else {
        // A Go master takes nobody while a member is dead, and one of 0.5.0 never the same address again.
        lab.go_master.kill();
        lab.start_go_master()?;
        lab.gate.start(false)?;
        let (_, back) = lab.wait_answered("Room.Echo")?;
        detail.push_str(&format!("; a client is answered {back:?} after master and gate were started anew"));
    }
    Ok(Seen { count: format!("{forgotten:.1?}"), detail })
}

fn we_die(lab: &mut Lab) -> Result<Seen> {
    lab.dunlin.kill();
    lab.dunlin.start(true)?;
    let (_, back) = lab.wait_answered("Room.Echo")?;
    Ok(Seen {
        count: "1/1".to_owned(),
        detail: format!("a client is answered by our next life {back:?} after it is up"),
    })
}
