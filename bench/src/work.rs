//! The kinds of work: each drives the engine, takes the server's figures around what it counts, and reports.

pub mod broadcast;
pub mod churn;
pub mod detect;
pub mod echo;
pub mod idle;
pub mod who;

// The figures of a server come from `/proc`, so only Linux has them.
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
