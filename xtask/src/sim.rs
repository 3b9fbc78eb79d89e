//! `cargo xtask sim`: the simulation of a registry group, built with optimizations and run with the arguments as they are.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Arguments of `cargo xtask sim`.
#[derive(Debug, clap::Args)]
pub(crate) struct SimArguments {
    /// What the simulation is told: `--seeds N`, `--from SEED`, `--seed SEED`, `--bug NAME`, `--catalogue`; `--help` says it all.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs it to its end, which must be a good one. What it says goes where the output of this goes.
///
/// # Errors
///
/// When it cannot be built, or found something wrong.
pub(crate) fn run(arguments: &SimArguments) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["run", "--release", "--quiet", "--package", "dunlin-sim", "--"]).args(&arguments.arguments);
    let status = cargo.status().context("cargo cannot be run")?;
    ensure!(status.success(), "the simulation did not end well");
    Ok(())
}
