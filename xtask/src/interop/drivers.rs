//! The clients: how each is made ready, how its driver is run, and how its report is read.
//!
//! A driver takes `--host`, `--port` and `--dict`, prints one JSON line for each claim, and ends within its time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::server::{NAMES, Server};
use crate::golden::{Script, player};
use crate::process;
use crate::table::{Cell, Outcome, Row};

/// How long fetching and building a client may take.
const PREPARE_TIME: Duration = Duration::from_secs(300);

/// How long one driver may take; it gives up by itself a little earlier.
const DRIVER_TIME: Duration = Duration::from_secs(30);

/// The name of the client that is played from golden bytes.
pub(crate) const GOLDEN: &str = "pitaya-like (golden bytes)";

/// The claims of a driver that can also end its connection by itself.
const CLAIMS_JS: &[&str] = &[
    "handshake",
    "request",
    "notify",
    "push",
    "text",
    "error",
    "dictionary",
    "heartbeat",
    "disconnect",
    "kick",
    "reconnect",
];

/// The claims of nano's connector.
const CLAIMS_GO: &[&str] = &[
    "handshake",
    "request",
    "notify",
    "push",
    "text",
    "error",
    "dictionary",
    "heartbeat",
    "kick",
    "reconnect",
];

/// Where a client comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Npm,
    Go,
}

/// A client with a driver.
struct Client {
    name: &'static str,
    origin: Origin,
}

const CLIENTS: &[Client] = &[
    Client { name: "pomelo-jsclient-websocket", origin: Origin::Npm },
    Client { name: "pomelo-nodejsclient-websocket", origin: Origin::Npm },
    Client { name: "pinus-robot-plugin", origin: Origin::Npm },
    Client { name: "nano-go-connector", origin: Origin::Go },
];

/// One line of a driver's report.
#[derive(Debug, Deserialize)]
struct Report {
    claim: String,
    ok: bool,
    detail: String,
}

impl Origin {
    const fn claims(self) -> &'static [&'static str] {
        match self {
            Self::Npm => CLAIMS_JS,
            Self::Go => CLAIMS_GO,
        }
    }

    /// Fetches and builds what the drivers of this origin need.
    fn prepare(self, root: &Path) -> Result<()> {
        match self {
            Self::Npm => prepare_npm(&root.join("interop/js")),
            Self::Go => prepare_go(&root.join("interop/go")),
        }
    }
}

impl Client {
    fn driver(&self, root: &Path) -> Command {
        match self.origin {
            Origin::Npm => {
                let mut command = Command::new("node");
                command.arg(format!("clients/{}.mjs", self.name)).current_dir(root.join("interop/js"));
                command
            }
            Origin::Go => Command::new(go_program(&root.join("interop/go"))),
        }
    }

    fn missing(&self, server: &str, why: &str) -> Row {
        Row::missing(self.name, server, why)
    }
}

fn prepare_npm(folder: &Path) -> Result<()> {
    let modified = |file: &str| folder.join(file).metadata().and_then(|metadata| metadata.modified()).ok();
    let installed = modified("node_modules/.package-lock.json");
    if installed.is_some() && installed >= modified("package-lock.json") {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    // No script of a package is run: what is installed is only read.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    succeed(npm, "npm ci")
}

fn prepare_go(folder: &Path) -> Result<()> {
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(go_program(folder)).arg(".").current_dir(folder);
    succeed(go, "go build")
}

fn go_program(folder: &Path) -> PathBuf {
    folder.join("bin/nano-connector")
}

/// Runs what makes a client ready.
///
/// # Errors
///
/// What it said last, when it fails or takes too long.
pub(super) fn succeed(command: Command, name: &str) -> Result<()> {
    let finished = process::run(command, PREPARE_TIME)?;
    if finished.is_success {
        return Ok(());
    }
    let said =
        finished.stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned();
    bail!("{name} failed: {said}")
}

/// Plays the golden script, claim by claim. It runs alone, because a script knows nothing of other clients' messages.
///
/// # Errors
///
/// When the script cannot be read.
pub(crate) fn golden(root: &Path, server: &Server) -> Result<Vec<Row>> {
    let path = root.join("interop/golden/pitaya.txt");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let script = Script::parse(&text).with_context(|| path.display().to_string())?;
    let rows = NAMES.iter().map(|name| {
        let Some(addr) = server.addr(name) else { return Row::missing(GOLDEN, name, "no such server") };
        let claims = script.claims.iter().filter(|claim| claim.server == *name);
        let cells = claims.map(|claim| {
            let outcome = match player::play(claim, addr) {
                Ok(detail) => Outcome::Held(detail),
                Err(error) => Outcome::Failed(format!("{error:#}")),
            };
            Cell { claim: claim.name.clone(), outcome }
        });
        Row { client: GOLDEN.to_owned(), server: (*name).to_owned(), cells: cells.collect(), missing: None }
    });
    Ok(rows.collect())
}

/// Runs every wanted driver against every server, all at once.
pub(crate) fn live(root: &Path, server: &Server, wanted: &dyn Fn(&str) -> bool) -> Vec<Row> {
    let clients: Vec<&Client> = CLIENTS.iter().filter(|client| wanted(client.name)).collect();
    let prepared = [Origin::Npm, Origin::Go].map(|origin| {
        let is_wanted = clients.iter().any(|client| client.origin == origin);
        (origin, if is_wanted { origin.prepare(root).map_err(|error| format!("{error:#}")) } else { Ok(()) })
    });
    let readiness = |client: &Client| {
        let found = prepared.iter().find(|(origin, _)| *origin == client.origin);
        found.map_or_else(|| Ok(()), |(_, result)| result.clone())
    };
    thread::scope(|scope| {
        let mut runs = Vec::new();
        for client in clients {
            for name in NAMES {
                let ready = readiness(client);
                runs.push(scope.spawn(move || match (ready, server.addr(name)) {
                    (Err(why), _) => client.missing(name, &why),
                    (Ok(()), None) => client.missing(name, "no such server"),
                    (Ok(()), Some(addr)) => drive(client, root, (name, addr)),
                }));
            }
        }
        runs.into_iter().filter_map(|run| run.join().ok()).collect()
    })
}

fn drive(client: &Client, root: &Path, (server, addr): (&str, SocketAddr)) -> Row {
    let mut command = client.driver(root);
    command.args(["--host", &addr.ip().to_string(), "--port", &addr.port().to_string()]);
    if server == "dict" {
        command.arg("--dict");
    }
    let finished = match process::run(command, DRIVER_TIME) {
        Ok(finished) => finished,
        Err(error) => return client.missing(server, &format!("{error:#}")),
    };
    let why = if finished.is_late { "the driver took too long" } else { "the driver ended early" };
    let why = format!("{why}: {}", finished.stderr.lines().last().unwrap_or("it said nothing"));
    let cells = read_report(&finished.stdout, client.origin.claims(), finished.is_success, &why);
    Row { client: client.name.to_owned(), server: server.to_owned(), cells, missing: None }
}

/// Reads a driver's report. A claim that should be there and is not has failed, and so has a driver that ends badly
/// although every claim seems to hold.
fn read_report(stdout: &str, claims: &[&str], is_success: bool, why: &str) -> Vec<Cell> {
    let reports: Vec<Report> =
        stdout.lines().filter_map(|line| serde_json::from_str::<Report>(line).ok()).collect();
    let cell = |claim: &&str| {
        let report = reports.iter().find(|report| report.claim == *claim);
        let outcome = match report {
            Some(Report { ok: true, detail, .. }) => Outcome::Held(detail.clone()),
            Some(Report { detail, .. }) => Outcome::Failed(detail.clone()),
            None => Outcome::Failed(why.to_owned()),
        };
        Cell { claim: (*claim).to_owned(), outcome }
    };
    let mut cells: Vec<Cell> = claims.iter().map(cell).collect();
    if !is_success && cells.iter().all(|cell| matches!(cell.outcome, Outcome::Held(_))) {
        cells.push(Cell { claim: "end".to_owned(), outcome: Outcome::Failed(why.to_owned()) });
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::{Outcome, read_report};

    fn failed(stdout: &str, is_success: bool) -> Vec<String> {
        let cells = read_report(stdout, &["one", "two"], is_success, "gone");
        let failed = cells.into_iter().filter(|cell| matches!(cell.outcome, Outcome::Failed(_)));
        failed.map(|cell| cell.claim).collect()
    }

    const ONE: &str = r#"{"client":"c","claim":"one","ok":true,"detail":"d"}"#;
    const TWO: &str = r#"{"client":"c","claim":"two","ok":true,"detail":"d"}"#;

    #[test]
    fn a_claim_without_a_report_has_failed() {
        assert_eq!(failed(&format!("{ONE}\n{TWO}\n"), true), Vec::<String>::new());
        assert_eq!(failed(&format!("noise\n{ONE}\n"), true), ["two"]);
        assert_eq!(failed("", false), ["one", "two"]);
        assert_eq!(failed(&format!("{ONE}\n{}\n", TWO.replace("true", "false")), false), ["two"]);
    }

    #[test]
    fn a_driver_that_ends_badly_has_failed_even_if_every_claim_holds() {
        assert_eq!(failed(&format!("{ONE}\n{TWO}\n"), false), ["end"]);
    }
}
