//! What the process logs, to stderr, so that stdout has what was asked for and nothing else.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::LogFormat;

/// Changes the level while the process runs.
#[derive(Debug, Clone)]
pub(crate) struct LogHandle(reload::Handle<EnvFilter, Registry>);

impl LogHandle {
    /// Logs so much from now on, or says why the level is none.
    pub(crate) fn set_level(&self, level: &str) -> Result<(), String> {
        let filter = EnvFilter::builder().parse(level).map_err(|error| error.to_string())?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

/// Logs from now on. A level that is none is taken as `warn`; `RUST_LOG` wins over it.
pub(crate) fn init(format: LogFormat, level: &str) -> LogHandle {
    let filter = EnvFilter::try_from_default_env().or_else(|_| EnvFilter::builder().parse(level));
    let (filter, handle) = reload::Layer::new(filter.unwrap_or_else(|_| EnvFilter::new("warn")));
    let registry = tracing_subscriber::registry().with(filter);
    let done = match format {
        LogFormat::Human => {
            registry.with(fmt::layer().with_ansi(stderr().is_terminal()).with_writer(stderr)).try_init()
        }
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(stderr)).try_init(),
    };
    // Whoever calls this from a program that logs already keeps what it has.
    done.ok();
    LogHandle(handle)
}
