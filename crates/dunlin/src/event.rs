//! Events: what a server pushes to its clients, each type with its route.

use crate::serializer::{SerializeError, SerializerKind};

/// A value that is pushed to clients under a route of its own.
///
/// It is derived, so that a push cannot misspell its route:
///
/// ```
/// use dunlin::Event;
/// use serde::Serialize;
///
/// #[derive(Serialize, Event)]
/// #[event("onLine")]
/// struct Line {
///     from: String,
///     text: String,
/// }
///
/// /// Of several positions of one player that wait for a slow client, only the newest is sent.
/// #[derive(Serialize, Event)]
/// #[event("onMove", key = self.player)]
/// struct Move {
///     player: u32,
///     x: f32,
///     y: f32,
/// }
///
/// assert_eq!(Line::ROUTE, "onLine");
/// assert!(Move { player: 7, x: 0.0, y: 1.0 }.coalesce_key().is_some());
/// ```
///
/// `#[event("onLine", protobuf)]` is for types that derive `prost::Message`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "derive it: `#[derive(serde::Serialize, dunlin::Event)] #[event(\"onLine\")]`"
)]
pub trait Event {
    /// The route clients receive it under.
    const ROUTE: &'static str;

    /// Appends the event's payload to `out`.
    ///
    /// # Errors
    ///
    /// [`SerializeError`] when the serializer cannot write it.
    fn encode(&self, serializer: &SerializerKind, out: &mut Vec<u8>) -> Result<(), SerializeError>;

    /// Under the queue policy that coalesces by key, an event replaces the one of the same route and key that
    /// still waits for its client. `None` replaces nothing.
    fn coalesce_key(&self) -> Option<u64> {
        None
    }
}
