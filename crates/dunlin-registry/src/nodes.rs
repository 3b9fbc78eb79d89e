//! The nodes of a cluster, as every node of it knows them: who there is, where, what it serves and how it does.
//!
//! A node announces itself with a [`NodeRecord`] under a lease, so that it is gone from the registry when nobody keeps it alive any
//! more; everybody else keeps a copy of all records by a watch. The records stand on [`Registry`](crate::Registry) alone, whichever it is.
//!
//! - `nodes/record.rs`: what is said of a node. `nodes/table.rs`: all of them, as a state machine.
//! - `nodes/announce.rs`: a node's own record, kept alive. `nodes/watch.rs`: the copy of all. `nodes/stop.rs`: how one is asked to stop.
//!
//! Invariants: a node's id is of one life of a process and never comes again; two nodes that are announced at the same time never have
//! the same number; without the registry the last copy stands.

mod announce;
mod record;
mod stop;
mod table;
mod watch;

pub use self::announce::{AnnounceError, Announced};
pub use self::record::{NodeRecord, NodeRole, NodeState};
pub use self::stop::{ask_to_stop, stop_asked};
pub use self::table::{NodeTable, key_of};
pub use self::watch::Nodes;

/// The keys of all records begin so.
const RECORDS: &str = "nodes/";

/// The keys of the numbers that are taken begin so.
const NUMBERS: &str = "numbers/";

/// The keys that ask nodes to stop begin so.
const STOPS: &str = "stops/";
