//! How a node is set up: one structure, read from a file, the environment and the command line, of which the later ones win.
//!
//! `sections.rs` is the structure with its defaults, `units.rs` times and sizes, `sources.rs` puts the sources together, `keys.rs` knows every key by itself
//! and makes the table of [docs/configuration.md](../../../../docs/configuration.md), `apply.rs` and `tokens.rs` make an application of it and say what does not fit.

mod apply;
mod keys;
mod sections;
mod sources;
mod tokens;
mod units;

pub(crate) use self::apply::{Ready, apply, missing_services, problems};
pub(crate) use self::keys::table;
pub(crate) use self::sections::{AdminSection, Config};
pub(crate) use self::sources::Sources;
pub(crate) use self::units::Time;
