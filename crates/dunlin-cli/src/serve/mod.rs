//! `dunlin serve`: a node with the services of the program, set up from file, environment and command line; and `dunlin check-config`.

mod args;
mod reload;

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use dunlin::{App, ClusterConfig, Node};
use dunlin_admin::{Admin, LABEL};
use sd_notify::NotifyState;

use self::args::ConfigArgs;
pub(crate) use self::args::{CheckConfigArgs, ServeArgs};
use self::reload::Reload;
use crate::config::{AdminSection, Config, Ready, apply, missing_services, problems, table};
use crate::logs::{self, LogHandle};

/// What the command ends with when settings cannot be taken.
const NOT_UNDERSTOOD: u8 = 2;

/// How long a node that has started may take to answer from all of its shards.
const FIRST_ECHO_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until it is told to stop.
pub(crate) fn run(args: &ServeArgs, app: App) -> Result<ExitCode> {
    let Some(config) = load(&args.config, &app)? else { return Ok(ExitCode::from(NOT_UNDERSTOOD)) };
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| config.log.level.clone());
    let workers = match config.node.workers {
        0 => (std::thread::available_parallelism().map_or(1, std::num::NonZero::get) / 2).max(1),
        workers => workers,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .context("the system gives no runtime")?;
    // What sends traces runs there too.
    let within = runtime.enter();
    let name = config.name();
    let traces = config.log.traces.as_deref().map(|collector| (collector, &*name));
    let log = logs::init(config.log.format.into(), &level, traces)?;
    drop(within);
    runtime.block_on(serve(config, app, (args.config.clone(), log)))?;
    Ok(ExitCode::SUCCESS)
}

/// Says whether settings can be taken, or what they are.
pub(crate) fn check(args: &CheckConfigArgs, app: &App) -> Result<ExitCode> {
    if args.keys {
        return say(&table()).map(|()| ExitCode::SUCCESS);
    }
    let Some(config) = load(&args.config, app)? else { return Ok(ExitCode::from(NOT_UNDERSTOOD)) };
    if args.show {
        say(&toml::to_string(&config).context("the settings cannot be written")?)?;
    } else {
        say(&format!("the settings of {} fit\n", config.name()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn say(text: &str) -> Result<()> {
    write!(stdout(), "{text}").and_then(|()| stdout().flush()).context("standard output is closed")
}

/// The settings, if nothing is wrong with them. Everything that is, is told.
fn load(args: &ConfigArgs, app: &App) -> Result<Option<Config>> {
    let mut err = stderr();
    let config = match args.sources().load() {
        Ok(config) => config,
        Err(error) => {
            writeln!(err, "error: {:#}", anyhow::Error::from(error)).ok();
            return Ok(None);
        }
    };
    let mut problems = problems(&config);
    problems.extend(missing_services(&config, app));
    for problem in &problems {
        writeln!(err, "error: {problem}").ok();
    }
    Ok(problems.is_empty().then_some(config))
}

async fn serve(config: Config, app: App, (args, log): (ConfigArgs, LogHandle)) -> Result<()> {
    let admin = start_admin(&config.admin, &log).await?;
    let Ready { mut app, name, cluster, limit } = apply(&config, app)?;
    if let Some(mut cluster) = cluster {
        if let Some(admin) = &admin {
            label(&mut cluster, &config.admin, admin);
        }
        app = app.cluster(cluster);
    }
    let node = Arc::new(app.start().await.context("the node does not start")?);
    if let Some(admin) = &admin {
        admin.watch(&name, &node);
    }
    node.echo(FIRST_ECHO_TIMEOUT).await.context("the node has started and does not answer")?;
    tell_started(&name, &node, admin.as_ref());
    let reload = Reload::new(args, config, (log.clone(), limit));
    let reloading = tokio::spawn(reload.run(node.clone()));
    let served = node.run_until_signal().await;
    reloading.abort();
    if let Some(admin) = admin {
        admin.stop().await;
    }
    log.send_rest();
    served.context("the node ended unasked")
}

async fn start_admin(section: &AdminSection, log: &LogHandle) -> Result<Option<Admin>> {
    let Some(config) = section.config()? else { return Ok(None) };
    let log = log.clone();
    let config =
        config.log_level(Arc::new(move |level| log.set_level(level).map_err(|error| error.to_string())));
    Ok(Some(Admin::start(config).await?))
}

/// Tells other nodes where the admin port is, if it can be reached from where they are.
fn label(cluster: &mut ClusterConfig, section: &AdminSection, admin: &Admin) {
    let addr = admin.addr();
    let here = ["127.", "localhost", "[::1]"].iter().any(|own| cluster.listen.starts_with(own));
    let is_reached = !addr.ip().is_unspecified() && (!addr.ip().is_loopback() || here);
    let url = section.advertise.clone().or_else(|| is_reached.then(|| admin.url()));
    if let Some(url) = url {
        cluster.labels.insert(LABEL.to_owned(), url);
    }
}

/// Says where everything is, to whoever reads the log and to the service manager.
fn tell_started(name: &str, node: &Node, admin: Option<&Admin>) {
    let clients: Vec<String> = node.addrs().iter().map(ToString::to_string).collect();
    let cluster = node.record().and_then(|record| record.urls.first().cloned());
    let admin = admin.map(|admin| format!("{}/admin/", admin.url()));
    tracing::info!(name, clients = clients.join(" "), cluster, admin, "serving");
    let status = format!("serving {} as {name}", clients.join(" "));
    // Nobody listens unless a service manager has started it.
    sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)]).ok();
}

#[cfg(test)]
mod tests;
