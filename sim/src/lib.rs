//! A group of members of the registry in one loop: everything that they do from one seed, with every fault there is.
//!
//! The members are the shipped state machines (`Driver`, `Log`, `Store`, `LeaseClock`, and `admit` before them); what the shipped
//! shell does around them with threads and sockets is done here by events in a queue, with delays that are drawn. No thread, no
//! runtime, no clock: the same seed gives the same run.
//!
//! - `plan.rs`: what is drawn. `ground.rs`: time, queue, network. `world.rs`: the loop, the faults and the verdict.
//! - `member.rs`, `writer.rs`, `snapshots.rs`, `core.rs`, `disk.rs`: a member.
//! - `client.rs`, `watcher.rs`: who uses it. `checker.rs`, `history.rs`: what must hold.
//! - `registers.rs`: the same judgement of what clients of real members saw.
//! - `bug.rs`, `catalogue.rs`: bugs that must be found, and whether they are.

mod bug;
mod catalogue;
mod checker;
mod client;
mod core;
mod disk;
mod ground;
mod history;
mod member;
mod plan;
mod registers;
mod snapshots;
mod watcher;
mod world;
mod writer;

pub use bug::Bug;
pub use catalogue::{Found, find};
pub use registers::{Judged, judge_registers};
pub use world::{Keep, Report, run};
