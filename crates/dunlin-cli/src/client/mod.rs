//! `dunlin client`: talks to any server of the nano protocol, once or line by line.
//!
//! `args.rs` is its command line. `once.rs` does one thing, `session.rs` many, with lines from `terminal.rs`. Pure: `line.rs` what a line
//! means, `routes.rs` what can be completed, `body.rs` what may be sent and is shown, `failure.rs` what went wrong and its exit code.

mod args;
pub(crate) mod body;
mod failure;
mod line;
mod once;
mod routes;
mod session;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use dunlin_client::{Client, Pushes, Reconnect};

pub(crate) use self::args::ClientArgs;
pub(crate) use self::failure::Failure;
use self::routes::Routes;
use self::session::{End, Manner, Session};
use self::terminal::Prompt;

/// How the prompt comes back after a drop: soon, since somebody sits there, but not all at once after a server's restart.
const RECONNECT: Reconnect = Reconnect::full_jitter(Duration::from_millis(250), Duration::from_secs(5));

/// Does what the command line asks for.
pub(crate) async fn run(args: &ClientArgs) -> Result<ExitCode> {
    let is_json = args.target.json;
    if let Some(command) = &args.command {
        let done = once::run(args, command, &mut stdout()).await?;
        return once::finish(done, is_json, &mut stderr());
    }
    let mut routes = args.routes.as_deref().map(Routes::read).transpose()?.unwrap_or_default();
    let is_prompting = terminal::is_prompting();
    let connected = match connect(args, is_prompting).await {
        Ok(connected) => connected,
        Err(failure) => return failure.report(is_json, &mut stderr()),
    };
    routes.add_told(&connected.0);
    let routes = Arc::new(Mutex::new(routes));
    let manner = Manner { is_json, is_raw: args.raw };
    let failure = if is_prompting {
        let End { failure, is_lost } = prompt(args, connected, routes, manner).await?;
        // Whoever sat before it has seen what else went wrong on the way.
        failure.filter(|_| is_lost)
    } else {
        let session = Session::new(connected, routes, manner, (stdout(), stderr()));
        session.run(terminal::read_lines()?).await?.failure
    };
    Ok(failure.map_or(ExitCode::SUCCESS, |failure| ExitCode::from(failure.exit_code())))
}

/// Connects, and listens to all that is pushed.
async fn connect(args: &ClientArgs, comes_back: bool) -> Result<(Client, Pushes), Failure> {
    let mut builder = args.target.prepared()?.builder();
    if comes_back {
        builder = builder.reconnect(RECONNECT);
    }
    let pushes = builder.subscribe_all();
    let client = builder.connect().await.map_err(|error| Failure::connect(&error))?;
    Ok((client, pushes))
}

/// Talks with somebody at a terminal.
async fn prompt(
    args: &ClientArgs,
    connected: (Client, Pushes),
    routes: Arc<Mutex<Routes>>,
    manner: Manner,
) -> Result<End> {
    let known = routes.lock().unwrap_or_else(PoisonError::into_inner).len();
    let url = &args.target.url;
    let known = match known {
        0 => "no route is known yet".to_owned(),
        1 => "1 route is known".to_owned(),
        known => format!("{known} routes are known"),
    };
    writeln!(stdout(), "connected to {url}; {known}; `help` shows what can be typed")
        .context("standard output is closed")?;
    let Prompt { lines, screen, before } = Prompt::start(Arc::clone(&routes), args.history.clone())?;
    let session = Session::new(connected, routes, manner, (screen.clone(), screen));
    let end = session.run(lines).await;
    terminal::restore(before);
    end
}
