//! What a node counts of appends: as etcd's statistics, in its JSON and with its names, and without what is wrong there.
//!
//! etcd writes an infinite rate when all requests it remembers came at once, which is no JSON, and 2⁶³ as the shortest latency of
//! a follower that never answered. Here a rate without a measured time is left out, as is one of zero, and that latency is 0.
//! Field names and their meaning: section "Statistics" of `docs/protocol/raft.md` in the repository.
//!
//! - `stats/server.rs`: appends received and sent, and who leads.
//! - `stats/leader.rs`: what a leader knows of each follower.
//! - `stats/rate.rs`, `stats/text.rs`: the parts of that.
//!
//! Invariants: every number written is finite; memory is bounded by the requests remembered and the followers that were added.

mod leader;
mod rate;
mod server;
#[cfg(test)]
mod tests;
mod text;

pub use self::leader::{FollowerStats, LatencyStats, LeaderStats};
pub(crate) use self::server::ServerStats;
pub use self::server::{ServerRole, ServerStatsReport};
