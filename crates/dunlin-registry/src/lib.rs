//! A replicated registry and key-value store on Raft.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

pub mod limits;
pub mod store;
