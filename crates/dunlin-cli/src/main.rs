//! The `dunlin` command without services of its own: a gate or a voter of a cluster, the demo, and the tools.

use std::process::ExitCode;

fn main() -> ExitCode {
    dunlin_cli::run(dunlin::App::new())
}
