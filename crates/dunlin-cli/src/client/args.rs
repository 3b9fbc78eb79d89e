//! The command line of `dunlin client`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::target::Target;

/// A client of any server of the nano protocol.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  dunlin client ws://127.0.0.1:3250/        a prompt; `help` there says more
  dunlin client tcp://127.0.0.1:3250 request Chat.join '{\"room\":\"pond\"}'
  dunlin client ws://127.0.0.1:3250/ request Chat.join - < body.json
  dunlin client wss://chat.example/ watch onLine --count 3 --token T
  dunlin client ws://127.0.0.1:3250/ < commands.txt   what would be typed

Exit codes: 0 done, 1 failed, 2 not understood, 4 the server answered with an
error, 5 no connection, or no answer in time.")]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    pub(crate) target: Target,

    /// Routes to complete, one a line, beside those that the server tells
    #[arg(long, value_name = "FILE")]
    pub(crate) routes: Option<PathBuf>,

    /// Where the prompt keeps what was typed; it is forgotten without
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,

    /// Bodies that need not be JSON: sent and printed as they are
    #[arg(long, global = true)]
    pub(crate) raw: bool,

    #[command(subcommand)]
    pub(crate) command: Option<ClientCommand>,
}

/// What to do once.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ClientCommand {
    /// Ask, and print the answer
    Request(Message),
    /// Say something that wants no answer
    Notify(Message),
    /// Print pushes as they come
    Watch {
        /// Of this route alone
        route: Option<String>,
        /// Ends after so many; fewer within --timeout are a failure
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
    },
}

/// What to send.
#[derive(Debug, Clone, Args)]
pub(crate) struct Message {
    /// Where it goes, such as Chat.join
    pub(crate) route: String,
    /// What it says, in JSON; - reads it from standard input
    #[arg(default_value = "{}")]
    pub(crate) body: String,
}
