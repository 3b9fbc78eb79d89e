//! What must hold when a Go node serves, and the sessions are of a node of ours.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::Claim;
use super::lab::{HEARTBEAT, Lab, Side, bodies};
use super::node::TIME;
use crate::interop::table::Seen;

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

/// Sessions, and calls of each of them.
const SESSIONS: u64 = 50;
const CALLS: usize = 20;

/// Messages of one session in a row.
const ORDERED: usize = 1_000;

/// How long it may take until a node that dies is avoided.
const AVOID_TIME: Duration = Duration::from_secs(1);

fn joins(lab: &mut Lab) -> Result<Seen> {
    lab.start()?;
    lab.backend.start(true)?;
    let after = lab.wait_games(TIME, |up, _| up == 1)?;
    Ok(Seen { count: "1/1".to_owned(), detail: format!("reached {after:?} after it was a member") })
}

fn requests(lab: &mut Lab) -> Result<Seen> {
    let begin = Instant::now();
    for n in 0..CALLS {
        for session in 1..=SESSIONS {
            lab.order("call", (session, n), ("Echo", &format!("{session}/{n}")))?;
        }
    }
    for n in 0..CALLS {
        for session in 1..=SESSIONS {
            let body = format!("{session}/{n}");
            let answer = lab.dunlin.wait("answer", |answer| answer["body"] == *body)?;
            ensure!(answer["n"] == n, "{body} is the answer of call {}", answer["n"]);
        }
    }
    let elapsed = begin.elapsed();
    lab.order("call", (1, 7), ("Nowhere", ""))?;
    let refused = lab.dunlin.wait("refused", |_| true)?;
    ensure!(
        refused["n"] == 7 && refused["code"] == 404,
        "a route that is not there is answered with {refused}"
    );
    let total = CALLS * usize::try_from(SESSIONS)?;
    Ok(Seen {
        count: format!("{total}/{total}"),
        detail: format!(
            "of {SESSIONS} sessions, each with its own answer, in {elapsed:?}; a route that is not there is answered with 404"
        ),
    })
}

fn keeps_order(lab: &mut Lab) -> Result<Seen> {
    lab.call(7, "Name", "seven")?;
    let bodies = bodies(ORDERED);
    for body in &bodies {
        lab.order("notify", (7, 0), ("Say", body))?;
    }
    lab.backend.wait_bodies("said", &bodies)?;
    lab.dunlin.wait_bodies("push", &bodies)?;
    ensure!(!lab.dunlin.has_more("push")?, "more pushes come than were sent");
    Ok(Seen {
        count: format!("{ORDERED}/{ORDERED}"),
        detail: "notifies of one session there, and as many pushes back, in order".to_owned(),
    })
}

fn closes(lab: &mut Lab) -> Result<Seen> {
    lab.call(9, "Name", "nine")?;
    lab.dunlin.order(&json!({ "do": "end", "session": 9 }))?;
    lab.backend.wait("closed", |closed| closed["name"] == "nine")?;
    ensure!(!lab.backend.has_more("closed")?, "more sessions end than have, or one twice");
    Ok(Seen {
        count: "once".to_owned(),
        detail: "the session that ended and no other one ends at the backend".to_owned(),
    })
}

fn kicks(lab: &mut Lab) -> Result<Seen> {
    lab.order("notify", (8, 0), ("Bye", ""))?;
    lab.dunlin.wait("close", |close| close["session"] == 8)?;
    ensure!(!lab.dunlin.has_more("close")?, "more is closed than was asked for");
    Ok(Seen { count: "once".to_owned(), detail: "the backend closes the session that it means".to_owned() })
}

/// A call waits while the backend does what ends it. How long the caller has to wait then.
fn lost_after(lab: &mut Lab, n: usize, end: impl FnOnce(&mut Lab) -> Result<()>) -> Result<Duration> {
    lab.order("call", (1, n), ("Never", ""))?;
    // It is there before this one.
    lab.call(1, "Echo", "there?")?;
    let begin = Instant::now();
    end(lab)?;
    lab.dunlin.wait("lost", |lost| lost["n"] == n)?;
    Ok(begin.elapsed())
}

fn freezes(lab: &mut Lab) -> Result<Seen> {
    let lost = lost_after(lab, 100, |lab| lab.backend.signal("STOP"))?;
    ensure!(lost < Duration::from_secs(4), "who called a node that froze waits for {lost:?}");
    lab.wait_games(AVOID_TIME, |up, _| up == 0)?;
    lab.backend.signal("CONT")?;
    let back = lab.wait_games(TIME, |up, _| up == 1)?;
    lab.call_until(1, "Echo", "back?")?;
    Ok(Seen {
        count: format!("{lost:.1?}"),
        detail: format!("until a frozen node's callers are told; it is back {back:?} after it is"),
    })
}

fn dies(lab: &mut Lab) -> Result<Seen> {
    let lost = lost_after(lab, 200, |lab| {
        lab.backend.kill();
        Ok(())
    })?;
    ensure!(lost < AVOID_TIME, "who called a node that died waits for {lost:?}");
    lab.wait_games(AVOID_TIME, |up, _| up == 0)?;
    let mut detail = format!("its callers are told after {lost:?}");
    if lab.master == Side::Dunlin {
        // A Go master of 0.5.0 never finds out.
        let gone = lab.wait_games(HEARTBEAT * 5, |_, all| all == 0)?;
        detail.push_str(&format!(", its record is gone after {gone:?}"));
        lab.backend.start(true)?;
    } else {
        // Nor does it take anybody while a member is dead.
        lab.go_master.kill();
        lab.start_go_master()?;
        lab.other_backend.start(true)?;
    }
    let back = lab.wait_games(TIME, |up, _| up >= 1)?;
    lab.call_until(1, "Echo", "back?")?;
    Ok(Seen {
        count: format!("{lost:.1?}"),
        detail: format!("{detail}, its next life is called {back:?} after it is a member"),
    })
}

fn we_die(lab: &mut Lab) -> Result<Seen> {
    lab.dunlin.kill();
    lab.dunlin.start(true)?;
    let back = lab.wait_games(TIME, |up, _| up >= 1)?;
    lab.call_until(1, "Echo", "back?")?;
    Ok(Seen {
        count: "1/1".to_owned(),
        detail: format!("our next life reaches the backend {back:?} after it is up"),
    })
}

fn leaves(lab: &mut Lab) -> Result<Seen> {
    let backends = [&lab.backend, &lab.other_backend];
    let signals = backends.map(|backend| backend.signal("TERM"));
    ensure!(signals.iter().any(Result::is_ok), "no backend runs");
    let gone = lab.wait_games(TIME, |up, _| up == 0)?;
    Ok(Seen {
        count: "1/1".to_owned(),
        detail: format!("a backend that stops is called no more after {gone:?}"),
    })
}
