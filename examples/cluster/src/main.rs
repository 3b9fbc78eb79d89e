//! The chat on several nodes: gates that clients connect to, nodes that have the service, voters that know who is there. One program, any mix.
//!
//! Three nodes, each in a terminal of its own; all three vote, two take clients, and two have the chat:
//!
//! ```text
//! cargo run -p cluster-example -- serve -c examples/cluster/one.toml
//! cargo run -p cluster-example -- serve -c examples/cluster/two.toml
//! cargo run -p cluster-example -- serve -c examples/cluster/three.toml
//! ```
//!
//! Stop any of them with Ctrl-C, or kill it: the others go on. `docs/clusters.md` walks through it.

mod chat;

use std::process::ExitCode;

use dunlin::App;

fn main() -> ExitCode {
    // Everybody of a room is with the node that its name leads to.
    dunlin_cli::run(App::new().service(chat::Chat).dispatch_by("Chat", chat::room_of))
}
