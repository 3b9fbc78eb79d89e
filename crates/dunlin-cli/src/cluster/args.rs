//! The command line of what is asked of a cluster.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::values::time;

/// Whom to ask.
#[derive(Debug, Clone, Args)]
pub(crate) struct At {
    /// Cluster addresses of voters; the next one is asked when one does not answer
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',', env = "DUNLIN_AT", hide_env_values = true, default_value = "http://127.0.0.1:7001", value_parser = url)]
    pub(crate) at: Vec<String>,

    /// How long an answer may take, such as 500ms or 5s
    #[arg(long, global = true, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub(crate) timeout: Duration,

    /// Answers as JSON, one value a line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) tls: AtTls,
}

/// What is shown to nodes that talk over TLS, and what they must show. All three are needed, and only for https URLs.
#[derive(Debug, Clone, Args)]
pub(crate) struct AtTls {
    /// The certificate of the cluster's authority, for https URLs
    #[arg(long, global = true, value_name = "FILE", env = "DUNLIN_TLS_AUTHORITY", hide_env_values = true)]
    pub(crate) tls_authority: Option<PathBuf>,

    /// A certificate of that authority to show, such as a node's
    #[arg(long, global = true, value_name = "FILE", env = "DUNLIN_TLS_CERTIFICATE", hide_env_values = true)]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// The private key of that certificate
    #[arg(long, global = true, value_name = "FILE", env = "DUNLIN_TLS_KEY", hide_env_values = true)]
    pub(crate) tls_key: Option<PathBuf>,
}

/// Keys of the store that the voters keep.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  dunlin kv put motd hello              sets a key
  dunlin kv get motd                    prints its value; exit code 3 when there is none
  dunlin kv get rooms/ --prefix --json  all keys that begin so, as JSON
  dunlin kv watch rooms/ --prefix       what happens to them, until Ctrl-C
  dunlin kv del rooms/ --prefix         removes them, and prints how many there were")]
pub(crate) struct KvArgs {
    #[command(flatten)]
    pub(crate) at: At,
    #[command(subcommand)]
    pub(crate) command: KvCommand,
}

/// What to do with keys.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum KvCommand {
    /// Print the value of a key
    Get {
        #[command(flatten)]
        keys: Keys,
        /// What the voter that is asked has will do, which may be old; works without a leader
        #[arg(long)]
        stale: bool,
    },
    /// Set a key
    Put {
        /// The key
        key: String,
        /// Its value
        value: String,
    },
    /// Remove a key
    Del {
        #[command(flatten)]
        keys: Keys,
    },
    /// Print what happens to a key
    Watch {
        #[command(flatten)]
        keys: Keys,
        /// From a revision on, which may have been; what comes without it
        #[arg(long, value_name = "REVISION", default_value_t = 0)]
        from: u64,
    },
}

/// Which keys.
#[derive(Debug, Clone, Args)]
pub(crate) struct Keys {
    /// The key
    pub(crate) key: String,
    /// All keys that begin so
    #[arg(long)]
    pub(crate) prefix: bool,
}

/// The voters of a cluster.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  dunlin members                              who votes, who leads
  dunlin members add 4 http://10.0.0.4:7001   adds one that is to be started
  dunlin members remove 3                     removes one for ever")]
pub(crate) struct MembersArgs {
    #[command(flatten)]
    pub(crate) at: At,
    #[command(subcommand)]
    pub(crate) command: Option<MembersCommand>,
}

/// A change of voters.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum MembersCommand {
    /// Add a voter, which learns first
    Add {
        /// Its id, which nobody had before
        id: u64,
        /// Where other voters reach it
        #[arg(value_parser = url)]
        url: String,
    },
    /// Remove a voter for ever
    Remove {
        /// Its id
        id: u64,
    },
}

/// Who leads the voters.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  dunlin leader transfer 2   lets voter 2 lead")]
pub(crate) struct LeaderArgs {
    #[command(flatten)]
    pub(crate) at: At,
    #[command(subcommand)]
    pub(crate) command: LeaderCommand,
}

/// What to do about the leader.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum LeaderCommand {
    /// Ask the leader to hand over
    Transfer {
        /// The id of the voter that is to lead
        to: u64,
    },
}

/// The nodes of a cluster.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  dunlin nodes           every node with its services and how it does
  dunlin nodes --json | jq -r 'select(.state == \"draining\") | .name'

Of a cluster with TLS, the flags or the environment name the files:
  export DUNLIN_TLS_AUTHORITY=ca.pem
  export DUNLIN_TLS_CERTIFICATE=node.pem DUNLIN_TLS_KEY=node.key
  dunlin nodes --at https://10.0.0.1:7001")]
pub(crate) struct NodesArgs {
    #[command(flatten)]
    pub(crate) at: At,
}

/// A node that is to stop.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  dunlin drain gate-1

Nothing new comes to it, what runs is finished, its clients go to other gates,
and it ends.")]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    pub(crate) at: At,
    /// Its name, as `dunlin nodes` shows it
    pub(crate) name: String,
}

fn url(text: &str) -> Result<String, String> {
    let is_url = ["http://", "https://"]
        .iter()
        .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    if is_url { Ok(text.to_owned()) } else { Err("write a URL, such as http://10.0.0.1:7001".to_owned()) }
}
