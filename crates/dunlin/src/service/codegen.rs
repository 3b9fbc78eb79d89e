//! What the macros of `dunlin-macros` write calls to. Nothing here is for people, and nothing here keeps its shape.
#![doc(hidden)]

use std::hash::{BuildHasher, Hash};
use std::sync::LazyLock;

pub use super::closure::one_reads_the_body;
pub use super::mount::{ask, service_of};
pub use super::output::finish_notify;
pub use super::start::{RouteFn, route_fn};
use crate::serializer::SerializeError;

/// The coalescing key of an event. Routes take part, because all events of a client wait in one queue.
pub fn coalesce_key(route: &'static str, key: impl Hash) -> u64 {
    static SEED: LazyLock<foldhash::quality::RandomState> =
        LazyLock::new(foldhash::quality::RandomState::default);
    SEED.hash_one((route, key))
}

/// Appends a protobuf event.
///
/// # Errors
///
/// None; it is of one shape with the serializers.
pub fn encode_proto<T: prost::Message>(event: &T, out: &mut Vec<u8>) -> Result<(), SerializeError> {
    out.extend_from_slice(&event.encode_to_vec());
    Ok(())
}
