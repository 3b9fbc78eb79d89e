//! What must hold when Go nodes serve Go gates, and a node of ours is their master.

use anyhow::{Context, Result, ensure};

use super::Claim;
use super::lab::{Lab, NOT_FOUND, Side};
use super::node::TIME;
use crate::table::Seen;

pub(super) const CLAIMS: [Claim; 5] =
    [("joins", joins), ("requests", requests), ("forwards", forwards), ("dies", dies), ("leaves", leaves)];

/// Clients, each of which is sent to a backend by chance.
const CLIENTS: usize = 20;

/// Requests of each of some clients.
const CALLS: usize = 100;

fn joins(lab: &mut Lab) -> Result<Seen> {
    lab.start()?;
    lab.gate.start(false)?;
    // The gate is a member by now, and hears of the backend from our node.
    lab.wait_echo(Side::Go, "Room.Echo")?;
    lab.backend.start(true)?;
    let (_, after) = lab.wait_echo(Side::Go, "Game.Echo")?;
    let detail =
        format!("a client of the gate is answered by the backend {after:?} after that one is a member");
    Ok(Seen { count: "2/2".to_owned(), detail })
}

fn requests(lab: &mut Lab) -> Result<Seen> {
    let elapsed = lab.ask_many(Side::Go, "Game.Echo", (CLIENTS, CALLS))?;
    let total = CLIENTS * CALLS;
    let detail = format!("answered by one Go node through the other one, in {elapsed:?}");
    Ok(Seen { count: format!("{total}/{total}"), detail })
}

fn forwards(lab: &mut Lab) -> Result<Seen> {
    let mut client = lab.client(Side::Go)?;
    client.notify("Game.Forward", "Room.Say")?;
    lab.dunlin.wait("called", |called| called["body"] == "forwarded")?;
    let push = client.push(TIME).context("what our node pushes does not come")?;
    ensure!(push == "forwarded", "{push} is pushed");
    let detail = "the backend calls our node in the name of the gate's client, which is pushed to".to_owned();
    Ok(Seen { count: "1/1".to_owned(), detail })
}

fn dies(lab: &mut Lab) -> Result<Seen> {
    lab.backend.kill();
    lab.wait_answer(Side::Dunlin, "Game.Echo", |answer| answer.starts_with(NOT_FOUND))?;
    lab.other_backend.start(true)?;
    let (_, after) = lab.wait_echo(Side::Go, "Game.Echo")?;
    lab.wait_all_answered(CLIENTS, "Game.Echo")?;
    let detail =
        format!("clients are answered by another backend, the first {after:?} after that is a member");
    Ok(Seen { count: format!("{CLIENTS}/{CLIENTS}"), detail })
}

fn leaves(lab: &mut Lab) -> Result<Seen> {
    lab.backend.start(true)?;
    lab.wait_all_answered(CLIENTS, "Game.Echo")?;
    lab.other_backend.stop("TERM")?;
    lab.wait_all_answered(CLIENTS, "Game.Echo")?;
    let detail = "clients are answered by the backend that is left when one stops".to_owned();
    Ok(Seen { count: format!("{CLIENTS}/{CLIENTS}"), detail })
}
