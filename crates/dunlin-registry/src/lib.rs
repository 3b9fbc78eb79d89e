//! A replicated registry and key-value store on Raft.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

pub mod consensus;
pub mod driver;
pub mod lease_clock;
pub mod limits;
pub mod log;
pub mod store;
