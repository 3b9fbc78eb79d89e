//! A game in turns: two players take one to three stones from a heap in turn, and who takes the last one wins.
//!
//! The table is a serial service: one thing happens at a time, so of two moves at once one is first, and no lock is needed. A
//! move names the turn that it is for, so one that comes late or twice is refused instead of being taken for the next turn.

use std::time::Duration;

use dunlin::{App, Error, Event, Groups, Msg, Result, ServeError, Session, service};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

const STONES: u32 = 21;
const TAKEN_MAX: u32 = 3;
const TURN_TIME: Duration = Duration::from_secs(10);
const SEATS: usize = 2;

// Codes of errors from 1000 on are the application's.
const TABLE_TAKEN: u32 = 1001;
const NOT_YOUR_TURN: u32 = 1002;
const NO_SUCH_MOVE: u32 = 1003;

#[derive(Serialize, Deserialize)]
struct Move {
    turn: u32,
    stones: u32,
}

/// Told to both players when a turn begins.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event("onTurn")]
struct Turn {
    turn: u32,
    player: String,
    stones_left: u32,
}

/// Told to both, or to the one that is left, when the game is over.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event("onEnd")]
struct End {
    winner: String,
    has_other_left: bool,
}

struct Player {
    name: String,
    session: Session,
}

#[derive(Default)]
struct Table {
    players: Vec<Player>,
    turn: u32,
    stones: u32,
    /// When the turn is over; `None` while there is no game.
    turn_ends_at: Option<Instant>,
}

#[service(serial)]
impl Table {
    /// Route `Table.sit`: takes a seat. The game begins with the second player.
    #[request]
    async fn sit(&mut self, session: Session, groups: Groups, Msg(name): Msg<String>) -> Result<()> {
        if self.players.len() == SEATS {
            return Err(Error::new(TABLE_TAKEN, "the table is taken"));
        }
        groups.group("table").add(&session)?;
        self.players.push(Player { name, session });
        if self.players.len() == SEATS {
            (self.turn, self.stones) = (0, STONES);
            self.begin_turn(&groups)?;
        }
        Ok(())
    }

    /// Route `Table.take`: a move of whoever's turn it is.
    #[request]
    async fn take(&mut self, session: Session, groups: Groups, Msg(step): Msg<Move>) -> Result<()> {
        let is_mine = self.mover().is_some_and(|player| player.session == session);
        if !is_mine || step.turn != self.turn {
            let details = serde_json::json!({ "turn": self.turn });
            return Err(Error::new(NOT_YOUR_TURN, "it is not your turn").with_details(details));
        }
        if !(1..=TAKEN_MAX.min(self.stones)).contains(&step.stones) {
            return Err(Error::new(NO_SUCH_MOVE, "take one to three of the stones that are left"));
        }
        self.stones -= step.stones;
        if self.stones == 0 { self.end(&groups, false) } else { self.begin_turn(&groups) }
    }

    /// Whoever is late has lost the turn, and whoever is gone the game.
    #[every("100ms")]
    async fn look(&mut self, groups: Groups) -> Result<()> {
        let players = self.players.len();
        self.players.retain(|player| !player.session.is_closed());
        match self.turn_ends_at {
            Some(_) if self.players.len() < players => self.end(&groups, true),
            Some(ends_at) if ends_at <= Instant::now() => self.begin_turn(&groups),
            _ => Ok(()),
        }
    }

    fn mover(&self) -> Option<&Player> {
        let seat = usize::try_from(self.turn).ok()? % SEATS;
        self.turn_ends_at.and_then(|_| self.players.get(seat))
    }

    fn begin_turn(&mut self, groups: &Groups) -> Result<()> {
        self.turn += 1;
        self.turn_ends_at = Some(Instant::now() + TURN_TIME);
        let player = self.mover().map(|player| player.name.clone()).unwrap_or_default();
        groups.group("table").broadcast(&Turn { turn: self.turn, player, stones_left: self.stones })?;
        Ok(())
    }

    /// Whoever moved last has won, or whoever is left.
    fn end(&mut self, groups: &Groups, has_other_left: bool) -> Result<()> {
        let winner = if has_other_left { self.players.first() } else { self.mover() };
        let winner = winner.map(|player| player.name.clone()).unwrap_or_default();
        let table = groups.group("table");
        table.broadcast(&End { winner, has_other_left })?;
        table.close()?;
        *self = Self::default();
        Ok(())
    }
}

fn app() -> App {
    App::new().service(Table::default())
}

#[tokio::main]
async fn main() -> Result<(), ServeError> {
    app().serve("127.0.0.1:3250").await
}

#[cfg(test)]
mod tests;
