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
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use dunlin_client::Reconnect;

pub(crate) use self::args::ClientArgs;
pub(crate) use self::failure::Failure;
use self::line::Watching;
use self::routes::Routes;
use self::session::{Manner, Session};
use self::terminal::Prompt;

/// How the prompt comes back after a drop: soon, since somebody sits there, but not all at once after a server's restart.
const RECONNECT: Reconnect = Reconnect::full_jitter(Duration::from_millis(250), Duration::from_secs(5));

/// Does what the command line asks for.
pub(crate) async fn run(args: &ClientArgs) -> Result<ExitCode> {
    let is_json = args.target.json;
    match &args.command {
        Some(command) => {
            let done = once::run(args, command, &mut stdout()).await?;
            once::finish(done, is_json, &mut stderr())
        }
        None => {
            let is_prompting = terminal::is_prompting();
            let done = talk(args, is_prompting).await?;
            // Whoever sat before it has seen what went wrong on the way; only lines of a script have a verdict.
            let done = if is_prompting { done.filter(Failure::is_end) } else { done };
            Ok(done.map_or(ExitCode::SUCCESS, |failure| ExitCode::from(failure.exit_code())))
        }
    }
}

/// Talks line by line. What went wrong has been told already.
async fn talk(args: &ClientArgs, is_prompting: bool) -> Result<Option<Failure>> {
    let mut routes = args.routes.as_deref().map(Routes::read).transpose()?.unwrap_or_default();
    let mut builder = args.target.prepared()?.builder();
    if is_prompting {
        builder = builder.reconnect(RECONNECT);
    }
    let pushes = builder.subscribe_all();
    let client = match builder.connect().await {
        Ok(client) => client,
        Err(error) => {
            let failure = Failure::connect(&error);
            failure.report(args.target.json, &mut stderr())?;
            return Ok(Some(failure));
        }
    };
    routes.add_told(&client);
    let known = routes.len();
    let routes = Arc::new(Mutex::new(routes));
    let manner = Manner { is_json: args.target.json, is_raw: args.raw };
    let (watching, failure) = (Watching::default(), None);
    if !is_prompting {
        let (out, err) = (stdout(), stderr());
        let session = Session { client, pushes, routes, manner, out, err, watching, failure };
        return session.run(terminal::read_lines()?).await;
    }
    writeln!(
        stdout(),
        "connected to {}; {known} routes are known; `help` shows what can be typed",
        args.target.url
    )
    .context("standard output is closed")?;
    let (lines, screen, before) = Prompt::start(routes.clone(), args.history.clone())?.into_parts();
    let (out, err) = (screen.clone(), screen);
    let session = Session { client, pushes, routes, manner, out, err, watching, failure };
    let done = session.run(lines).await;
    Prompt::restore(before);
    done
}
