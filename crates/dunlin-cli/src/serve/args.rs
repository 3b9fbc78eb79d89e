//! The command line of a node, and of whoever looks at its configuration.

use std::path::PathBuf;

use clap::Args;

use crate::config::Sources;

/// Where settings come from.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// A file with the settings, in TOML
    #[arg(long, short, value_name = "FILE", env = "DUNLIN_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// One setting, such as clients.listen=0.0.0.0:3250; may be given again, and wins over file and environment
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, String)>,
}

impl ConfigArgs {
    /// The sources, with the environment of this process.
    pub(crate) fn sources(&self) -> Sources {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Sources { file: self.config.clone(), environment, set: self.set.clone() }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    pair.ok_or_else(|| "write a key and a value, such as clients.listen=0.0.0.0:3250".to_owned())
}

/// A node.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  dunlin serve --set clients.listen=127.0.0.1:3250   one node, with the services of this program
  dunlin serve --config dunlin.toml                  as the file says
  DUNLIN_LOG__LEVEL=debug dunlin serve -c dunlin.toml
  kill -HUP PID     reads the log's level, calls_per_second_max and certificates again
  kill -TERM PID    finishes what runs, sends clients elsewhere, and ends; a second one ends at once

All settings: docs/configuration.md, or `dunlin check-config --keys`.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// A look at settings.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  dunlin check-config -c dunlin.toml          says what does not fit; exit code 2 when something does not
  dunlin check-config -c dunlin.toml --show   all settings as a node would have them
  dunlin check-config --keys                  every key with its default and what it does")]
pub(crate) struct CheckConfigArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Print all settings as they would be
    #[arg(long)]
    pub(crate) show: bool,

    /// Print every key there is, as a table
    #[arg(long, conflicts_with = "show")]
    pub(crate) keys: bool,
}
