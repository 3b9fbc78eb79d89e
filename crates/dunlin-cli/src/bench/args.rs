//! The command line of `dunlin bench`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::target::Target;
use crate::values::{some_time, time};

/// Load on any server of the nano protocol.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  dunlin bench ws://127.0.0.1:3250/ --route Echo.ping --body '{\"n\":1}'
  dunlin bench tcp://127.0.0.1:3250 --route Echo.ping --clients 500 --rate 20000
  dunlin bench ws://127.0.0.1:3250/ --kind idle --clients 5000 --duration 60s
  dunlin bench ws://10.0.0.7:3250/ --own-target --route Echo.ping --json

With --rate, latency is measured from when a request was to be sent: one that
had to wait because the server was slow has waited. Without, each client sends
the next request when it has an answer.

Exit codes: 0 every request was answered, 1 one was not or a client was
dropped, 2 not understood, 5 the clients cannot connect.")]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) target: Target,

    /// How many clients connect
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) clients: u32,

    /// How many requests are sent each second by all clients together, however slow the answers
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) rate: Option<u32>,

    /// How many requests of one client may wait for answers [default: 1, with --rate 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) in_flight: Option<u16>,

    /// How long it measures
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = some_time)]
    pub(crate) duration: Duration,

    /// How long it runs before that
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    pub(crate) warmup: Duration,

    /// What the clients do
    #[arg(long, value_enum, default_value_t)]
    pub(crate) kind: Kind,

    /// Where requests or notifications go
    #[arg(long, value_name = "ROUTE")]
    pub(crate) route: Option<String>,

    /// What they say, in JSON; - reads it from standard input
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) body: String,

    /// A body that need not be JSON
    #[arg(long)]
    pub(crate) raw: bool,

    /// How many clients connect each second
    #[arg(long, value_name = "PER_SECOND", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) connect_rate: u32,

    /// The target is yours: allows other machines, and more than 10,000 clients
    #[arg(long)]
    pub(crate) own_target: bool,

    /// How many threads make the load [default: one for each core, at most 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: Option<u16>,
}

/// What clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Kind {
    /// Ask, and wait for answers
    #[default]
    Request,
    /// Say something that wants no answer
    Notify,
    /// Hold their connections
    Idle,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Notify => "notify",
            Self::Idle => "idle",
        }
    }
}
