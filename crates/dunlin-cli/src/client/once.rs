//! One request, one notification, or a look at pushes: `dunlin client URL request …` and its like.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use dunlin_client::{Client, Push, Pushes};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::args::{ClientArgs, ClientCommand};
use super::body::{self, as_text, as_value};
use super::failure::Failure;
use crate::target::TIMEOUT_DEFAULT;

/// Does it. The outer error is ours, the inner one what the command ends with.
pub(super) async fn run(
    args: &ClientArgs,
    command: &ClientCommand,
    out: &mut impl Write,
) -> Result<Result<(), Failure>> {
    // Before anything is connected, so that a slip in it reaches no server.
    let body = match command {
        ClientCommand::Request(message) | ClientCommand::Notify(message) => {
            match body::given(&message.body, args.raw, std::io::stdin().lock()) {
                Ok(body) => body,
                Err(error) => return Ok(Err(Failure::body(&error))),
            }
        }
        ClientCommand::Watch { .. } => bytes::Bytes::new(),
    };
    let mut builder = match args.target.prepared() {
        Ok(target) => target.builder(),
        Err(failure) => return Ok(Err(failure)),
    };
    if matches!(command, ClientCommand::Watch { .. }) {
        // The time that was given is for watching.
        builder = builder.connect_timeout(TIMEOUT_DEFAULT);
    }
    let pushes = match command {
        ClientCommand::Watch { route: Some(route), .. } => Some(builder.subscribe(route)),
        ClientCommand::Watch { route: None, .. } => Some(builder.subscribe_all()),
        _ => None,
    };
    let client = match builder.connect().await {
        Ok(client) => client,
        Err(error) => return Ok(Err(Failure::connect(&error))),
    };
    let done = match (command, pushes) {
        (ClientCommand::Watch { count, .. }, Some(pushes)) => {
            watch(args, &client, pushes, *count, out).await?
        }
        (ClientCommand::Notify(message), _) => {
            client.notify_raw(&message.route, body).await.map_err(|error| Failure::notify(&error))
        }
        (ClientCommand::Request(message), _) => match client.request_raw(&message.route, body).await {
            Ok(answer) => {
                show(args, &answer, out)?;
                Ok(())
            }
            Err(error) => Err(Failure::request(&error)),
        },
        (ClientCommand::Watch { .. }, None) => Ok(()),
    };
    // What was said still goes out.
    client.close().await;
    Ok(done)
}

fn show(args: &ClientArgs, answer: &[u8], out: &mut impl Write) -> Result<()> {
    let written = match (args.raw, args.target.json) {
        (true, _) => out.write_all(answer),
        (false, true) => writeln!(out, "{}", as_value(answer)),
        (false, false) => writeln!(out, "{}", as_text(answer)),
    };
    written.and_then(|()| out.flush()).context("standard output is closed")
}

/// Prints pushes until there were as many as wanted, the time is over, or the connection is.
async fn watch(
    args: &ClientArgs,
    client: &Client,
    mut pushes: Pushes,
    wanted: Option<u64>,
    out: &mut impl Write,
) -> Result<Result<(), Failure>> {
    let deadline = args.target.timeout.map(|time| Instant::now() + time);
    let mut count = 0;
    while wanted.is_none_or(|wanted| count < wanted) {
        let next = match deadline {
            None => pushes.recv().await,
            Some(deadline) => match timeout_at(deadline, pushes.recv()).await {
                Ok(next) => next,
                Err(_) => return Ok(wanted.map_or(Ok(()), |wanted| Err(Failure::too_few(count, wanted)))),
            },
        };
        let Some(push) = next else { return Ok(Err(Failure::closed(&client.closed().await))) };
        count += 1;
        writeln!(out, "{}", shown(&push, args.target.json))
            .and_then(|()| out.flush())
            .context("standard output is closed")?;
    }
    if pushes.dropped() > 0 {
        tracing::warn!(dropped = pushes.dropped(), "pushes came faster than they could be printed");
    }
    Ok(Ok(()))
}

/// A push as a line.
pub(super) fn shown(push: &Push, is_json: bool) -> String {
    let Push { route, payload } = push;
    match is_json {
        true => json!({ "push": route.as_ref(), "body": as_value(payload) }).to_string(),
        false => format!("{} {}", body::printable(route), as_text(payload)),
    }
}

/// The exit code of what was done, with the failure on standard error.
pub(super) fn finish(done: Result<(), Failure>, is_json: bool, err: &mut impl Write) -> Result<ExitCode> {
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(failure) => failure.report(is_json, err),
    }
}
