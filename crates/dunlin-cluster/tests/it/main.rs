//! Nodes in one process, over links that can be cut, on time that is paused.
#![cfg(test)]

mod links;
mod rig;
mod voters;
