//! Key-value stores under load: the registry beside etcd, three members of each, asked over gRPC by the same generator.
//!
//! - `registry/clients.rs`: one trait, and what each side's client does.
//! - `registry/requests.rs`: puts and gets. `registry/watches.rs`: many watchers of one key.

pub mod clients;
pub mod requests;
pub mod watches;

use crate::kernel::Meter;

/// Who is asked, and for how long.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// The URLs of the members.
    #[arg(long, value_delimiter = ',')]
    pub members: Vec<String>,
    /// The processes of the members, for the kernel's figures.
    #[arg(long, value_delimiter = ',')]
    pub pids: Vec<u32>,
    /// How long it measures.
    #[arg(long, default_value_t = 3000)]
    pub duration_ms: u64,
    /// How long it runs before that.
    #[arg(long, default_value_t = 1000)]
    pub warm_up_ms: u64,
}

impl Target {
    /// The members, beginning with another one for each client.
    #[must_use]
    pub fn members_from(&self, client: usize) -> Vec<String> {
        let count = self.members.len();
        (0..count).filter_map(|n| self.members.get((client + n) % count).cloned()).collect()
    }

    /// Meters of all members.
    #[must_use]
    pub fn meters(&self) -> Vec<Meter> {
        self.pids.iter().map(|pid| Meter::new(*pid)).collect()
    }
}
