//! A connection that is talked to line by line: what is typed goes out, answers and pushes are shown as they come.
//!
//! Knows no terminal: lines come by a channel and what is to be shown goes to writers, so that it is the same for a prompt, a file and a test.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use dunlin_client::{Client, Push, Pushes, State, StateWatch};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::body::{self, as_text, as_value};
use super::failure::{Failure, Kind};
use super::line::{self, Line, WORDS, Watching};
use super::once::shown;
use super::routes::Routes;

/// A line, and whom to tell when it was dealt with.
#[derive(Debug)]
pub(super) struct Typed {
    pub(super) text: String,
    pub(super) done: oneshot::Sender<()>,
}

/// How a session shows things.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) is_json: bool,
    pub(super) is_raw: bool,
}

/// How a conversation ended.
#[derive(Debug)]
pub(super) struct End {
    /// What went wrong first, which has been told already; a lost connection outweighs the rest.
    pub(super) failure: Option<Failure>,
    /// Whether the connection ended it.
    pub(super) is_lost: bool,
}

/// A connection that is talked to.
pub(super) struct Session<Out, Err> {
    client: Client,
    pushes: Pushes,
    routes: Arc<Mutex<Routes>>,
    manner: Manner,
    out: Out,
    err: Err,
    watching: Watching,
    failure: Option<Failure>,
}

impl<Out: Write, Err: Write> Session<Out, Err> {
    /// A conversation over a connection, with the routes that are completed, and with where things are shown.
    pub(super) fn new(
        (client, pushes): (Client, Pushes),
        routes: Arc<Mutex<Routes>>,
        manner: Manner,
        (out, err): (Out, Err),
    ) -> Self {
        Self { client, pushes, routes, manner, out, err, watching: Watching::default(), failure: None }
    }

    /// Talks until `quit`, the end of the lines, or the end of the connection.
    pub(super) async fn run(mut self, mut lines: mpsc::Receiver<Typed>) -> Result<End> {
        let mut states = self.client.watch_state();
        loop {
            tokio::select! {
                // Lines come one by one and so keep nobody waiting; when there are no more, nothing else matters.
                biased;
                typed = lines.recv() => {
                    let Some(Typed { text, done }) = typed else { break };
                    let is_over = self.handle_line(&text).await?;
                    // Whoever reads lines may be gone already.
                    done.send(()).ok();
                    if is_over {
                        break;
                    }
                }
                Some(push) = self.pushes.recv() => self.show_push(&push)?,
                state = states.changed() => {
                    if self.handle_state(state, &mut states)? {
                        return Ok(End { failure: self.failure, is_lost: true });
                    }
                }
            }
        }
        self.client.close().await;
        Ok(End { failure: self.failure, is_lost: false })
    }

    /// Does what the line says; true when it was the last.
    async fn handle_line(&mut self, text: &str) -> Result<bool> {
        let line = match line::parse(text) {
            Ok(line) => line,
            Err(message) => {
                self.fail(Failure::input(message))?;
                return Ok(false);
            }
        };
        match line {
            Line::Nothing => {}
            Line::Quit => return Ok(true),
            Line::Help => self.show_help()?,
            Line::Routes => self.show_routes()?,
            Line::Watch(watching) => self.watching = watching,
            Line::Request { route, body } => self.request(&route, body).await?,
            Line::Notify { route, body } => self.notify(&route, body).await?,
        }
        Ok(false)
    }

    async fn request(&mut self, route: &str, body: String) -> Result<()> {
        let Some(body) = self.checked(body)? else { return Ok(()) };
        self.remember(route);
        let client = self.client.clone();
        let answer = client.request_raw(route, body);
        tokio::pin!(answer);
        let answer = loop {
            tokio::select! {
                // What came before the answer is shown before it.
                biased;
                Some(push) = self.pushes.recv() => self.show_push(&push)?,
                answer = &mut answer => break answer,
            }
        };
        match answer {
            Ok(answer) if self.manner.is_json => {
                let line = json!({ "answer": route, "body": as_value(&answer) }).to_string();
                self.show(&line)
            }
            Ok(answer) => self.show(&as_text(&answer)),
            Err(error) => self.fail(Failure::request(&error)),
        }
    }

    async fn notify(&mut self, route: &str, body: String) -> Result<()> {
        let Some(body) = self.checked(body)? else { return Ok(()) };
        self.remember(route);
        match self.client.notify_raw(route, body).await {
            Ok(()) => Ok(()),
            Err(error) => self.fail(Failure::notify(&error)),
        }
    }

    fn checked(&mut self, body: String) -> Result<Option<bytes::Bytes>> {
        match body::checked(body.into_bytes(), self.manner.is_raw) {
            Ok(body) => Ok(Some(body)),
            Err(error) => {
                self.fail(Failure::body(&error))?;
                Ok(None)
            }
        }
    }

    fn remember(&self, route: &str) {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).add([route]);
    }

    /// Tells of drops and returns; true when it is over for good.
    fn handle_state(&mut self, state: Option<State>, states: &mut StateWatch) -> Result<bool> {
        match state {
            Some(State::Reconnecting { reason, attempt: 1, .. }) => {
                let line = Failure::closed(&reason).line(false);
                writeln!(self.err, "{line}; connecting again").context("standard error is closed")?;
            }
            Some(State::Connected { .. }) => {
                writeln!(self.err, "connected again, as a new session: what was joined is to be joined anew")
                    .context("standard error is closed")?;
            }
            Some(State::Closed { .. }) | None => {
                // What came before the end is shown before it.
                while let Some(push) = self.pushes.try_recv() {
                    self.show_push(&push)?;
                }
                if let State::Closed { reason } = states.current() {
                    self.fail(Failure::closed(&reason))?;
                }
                return Ok(true);
            }
            Some(_) => {}
        }
        Ok(false)
    }

    fn show_push(&mut self, push: &Push) -> Result<()> {
        if !self.watching.shows(&push.route) {
            return Ok(());
        }
        let line = shown(push, self.manner.is_json);
        if self.manner.is_json { self.show(&line) } else { self.show(&format!("push {line}")) }
    }

    fn show_help(&mut self) -> Result<()> {
        for (word, takes, does) in WORDS {
            self.show(&format!("{word:<8} {takes:<13} {does}"))?;
        }
        Ok(())
    }

    fn show_routes(&mut self) -> Result<()> {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if routes.len() == 0 {
            writeln!(
                self.err,
                "none is known: the server tells none, and none was used; --routes names a file"
            )
            .context("standard error is closed")?;
        }
        for route in routes.iter() {
            self.show(route)?;
        }
        Ok(())
    }

    fn show(&mut self, line: &str) -> Result<()> {
        writeln!(self.out, "{line}").and_then(|()| self.out.flush()).context("standard output is closed")
    }

    /// Tells of a failure and goes on. A lost connection outweighs what was said before: nothing more can be done.
    fn fail(&mut self, failure: Failure) -> Result<()> {
        writeln!(self.err, "{}", failure.line(self.manner.is_json)).context("standard error is closed")?;
        let is_over = failure.kind == Kind::Connection;
        if self.failure.is_none() || is_over {
            self.failure = Some(failure);
        }
        Ok(())
    }
}
