//! What must hold when Go nodes serve Go gates, and a node of ours is their master.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::Claim;
use super::lab::{ANSWER_TIME, Lab};
use super::node::TIME;
use crate::interop::table::Seen;

pub(super) const CLAIMS: [Claim; 5] =
    [("joins", joins), ("requests", requests), ("forwards", forwards), ("dies", dies), ("leaves", leaves)];

/// Clients, each of which is sent to a backend by chance.
const CLIENTS: usize = 20;

/// Requests of one client.
const CALLS: usize = 500;

fn joins(lab: &mut Lab) -> Result<Seen> {
    lab.start()?;
    lab.gate.start(false)?;
    // The gate is a member by now, and hears of the backend from our node.
    lab.wait_answered("Room.Echo")?;
    lab.backend.start(true)?;
    let (_, after) = lab.wait_answered("Game.Echo")?;
    Ok(Seen {
        count: "2/2".to_owned(),
        detail: format!(
            "a client of the gate is answered by the backend {after:?} after that one is a member"
        ),
    })
}

fn requests(lab: &mut Lab) -> Result<Seen> {
    let mut client = lab.client()?;
    for n in 0..CALLS {
        let id = client.ask("Game.Echo", &n.to_string())?;
        let answer = client.answer(id, TIME).with_context(|| format!("{n} is not answered"))?;
        ensure!(answer == n.to_string(), "{n} is answered with {answer}");
    }
    Ok(Seen {
        count: format!("{CALLS}/{CALLS}"),
        detail: "answered by one Go node through the other one".to_owned(),
    })
}

fn forwards(lab: &mut Lab) -> Result<Seen> {
    let mut client = lab.client()?;
    client.notify("Game.Forward", "Room.Say")?;
    lab.dunlin.wait("called", |called| called["body"] == "forwarded")?;
    let push = client.push(TIME).context("what our node pushes does not come")?;
    ensure!(push == "forwarded", "{push} is pushed");
    Ok(Seen {
        count: "1/1".to_owned(),
        detail: "the backend calls our node in the name of the gate's client, which is pushed to".to_owned(),
    })
}

/// Waits until each of many fresh clients is answered: nobody is sent to a node that is gone. It takes some time, as a Go node hears of that after ours,
/// and dials a node that was away again only when it has waited.
fn all_answered(lab: &Lab) -> Result<()> {
    let begin = Instant::now();
    let mut row = 0;
    while row < CLIENTS {
        let mut client = lab.client()?;
        let id = client.ask("Game.Echo", "there?")?;
        row = if client.answer(id, ANSWER_TIME).is_some() { row + 1 } else { 0 };
        ensure!(begin.elapsed() < TIME * 2, "clients are sent to a node that is gone");
    }
    Ok(())
}

fn dies(lab: &mut Lab) -> Result<Seen> {
    lab.backend.kill();
    lab.wait_games(TIME, |_, all| all == 0)?;
    lab.other_backend.start(true)?;
    let (_, after) = lab.wait_answered("Game.Echo")?;
    all_answered(lab)?;
    Ok(Seen {
        count: format!("{CLIENTS}/{CLIENTS}"),
        detail: format!(
            "clients are answered by another backend, the first {after:?} after that is a member"
        ),
    })
}

fn leaves(lab: &mut Lab) -> Result<Seen> {
    lab.backend.start(true)?;
    lab.wait_games(TIME, |up, all| (up, all) == (2, 2))?;
    lab.other_backend.signal("TERM")?;
    lab.wait_games(TIME, |_, all| all == 1)?;
    lab.wait_answered("Game.Echo")?;
    all_answered(lab)?;
    Ok(Seen {
        count: format!("{CLIENTS}/{CLIENTS}"),
        detail: "clients are answered by the backend that is left when one stops".to_owned(),
    })
}
