//! Events without a route, with a wrong option, and that cannot be written.
use dunlin::Event;

#[derive(serde::Serialize, Event)]
struct Nameless;

#[derive(serde::Serialize, Event)]
#[event("onLine", keys = 1)]
struct Line;

#[derive(Event)]
#[event("onMove")]
struct Move;

fn main() {}
