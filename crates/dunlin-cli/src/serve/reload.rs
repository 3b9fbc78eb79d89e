//! What can be changed while a node runs: it reads its settings again at SIGHUP, and takes those that it can.

use std::sync::Arc;

use dunlin::Node;
use dunlin::service::RateLimit;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use super::ConfigArgs;
use crate::config::{Config, problems};
use crate::logs::LogHandle;

/// See the module.
pub(super) struct Reload {
    args: ConfigArgs,
    /// What is in force.
    config: Config,
    log: LogHandle,
    limit: RateLimit,
}

impl Reload {
    pub(super) fn new(args: ConfigArgs, config: Config, (log, limit): (LogHandle, RateLimit)) -> Self {
        Self { args, config, log, limit }
    }

    /// Waits for signals, and for the end to tell the service manager of it.
    pub(super) async fn run(mut self, node: Arc<Node>) {
        let mut hangups = match signal(SignalKind::hangup()) {
            Ok(hangups) => hangups,
            Err(error) => {
                return tracing::error!(%error, "settings cannot be read again: the system gives no signals");
            }
        };
        while hangups.recv().await.is_some() {
            sd_notify::notify(&[NotifyState::Reloading]).ok();
            self.reload(&node);
            sd_notify::notify(&[NotifyState::Ready]).ok();
        }
    }

    fn reload(&mut self, node: &Node) {
        let config = match self.args.sources().load() {
            Ok(config) => config,
            Err(error) => {
                return tracing::error!(
                    error = format!("{:#}", anyhow::Error::from(error)),
                    "settings stay as they were"
                );
            }
        };
        if let Some(problem) = problems(&config).first() {
            return tracing::error!(%problem, "settings stay as they were");
        }
        if let Err(error) = node.reload_tls() {
            tracing::error!(
                error = format!("{:#}", anyhow::Error::from(error)),
                "certificates stay as they were"
            );
        }
        self.take(&config);
    }

    /// Takes what can be taken, and says whether something cannot.
    fn take(&mut self, config: &Config) {
        if let Err(error) = self.log.set_level(&config.log.level) {
            tracing::error!(%error, "the log's level stays as it was");
        }
        self.limit.set_calls(config.clients.calls_per_second_max.0);
        self.config.log.level.clone_from(&config.log.level);
        self.config.clients.calls_per_second_max = config.clients.calls_per_second_max;
        if self.config == *config {
            tracing::info!("settings were read again");
        } else {
            tracing::warn!("settings were read again; of what changed, some takes a restart");
        }
    }
}
