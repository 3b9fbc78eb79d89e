//! The macros of dunlin: `#[service]` on an `impl` block, and `#[derive(Event)]`.
//!
//! They are used through the crate `dunlin`, to whose `service::codegen` they write calls. The rule of both: what the
//! user wrote stays as it is, an error points at what must change and says how, and a method with an error gets no
//! generated code, so that one mistake makes one message.

mod event;
mod service;

use proc_macro::TokenStream;

/// Makes an `impl` block a service: its methods answer the calls of clients.
///
/// ```ignore
/// #[service]
/// impl Chat {
///     /// Route `Chat.join`.
///     #[request]
///     async fn join(&self, session: Session, Msg(join): Msg<Join>) -> Result<Joined> { .. }
///
///     /// Route `Chat.say`.
///     #[notify]
///     async fn say(&self, Uid(from): Uid, Msg(say): Msg<Say>) { .. }
/// }
/// ```
///
/// Options of `#[service(..)]`:
///
/// | option | meaning | without it |
/// |---|---|---|
/// | `name = "Room"` | the part of the routes before the last dot | the type's name |
/// | `rename = "PascalCase"` | the case of method names in routes, also `"camelCase"` | as they are |
/// | `serial` | handlers may take `&mut self` and run one at a time | they take `&self` and run at once |
/// | `mailbox = 1024` | so many calls of a serial service may wait; more are refused as overloaded | 1024 |
/// | `serializer = Json` | the serializer of this service | the application's |
/// | `client` | `ChatClient` calls it from other nodes: `ChatClient::join(&cluster, &join)`, for handlers that take `Msg` or no payload | there is none |
///
/// Attributes of methods, all of them `async fn`:
///
/// | attribute | meaning |
/// |---|---|
/// | `#[request]` | it answers: it must return `Result<T>` |
/// | `#[notify]` | it does not answer: it returns nothing or `Result<()>` |
/// | `(name = "Join")` on either | the part of the route after the last dot |
/// | `(concurrent)` on either | calls of one session may run at the same time |
/// | `(idempotent)` on either | a call whose node is lost before it has answered is tried once more, with another node |
/// | `(internal)` on either | only nodes of the cluster may call it; to clients it is a route that nobody serves |
/// | `#[every("50ms")]` | runs in that rhythm (`ms`, `s`, `m`, `h`) while the application does |
/// | `#[init]`, `#[after_init]` | run when the application starts, in the order of its services |
/// | `#[before_shutdown]`, `#[shutdown]` | run when it stops, in reverse order |
///
/// Arguments of `#[request]` and `#[notify]` are extractors; those of the others may be `State<T>`, `Groups`,
/// `Timers` and `Cluster`. Methods without an attribute are left alone.
#[proc_macro_attribute]
pub fn service(options: TokenStream, block: TokenStream) -> TokenStream {
    service::expand(options.into(), &block.into()).into()
}

/// Makes a type an event, to be pushed to clients under one route.
///
/// `#[event("onLine")]` names the route. Options after it: `key = EXPRESSION` (a field, or an expression of `self`)
/// for the queue policy that coalesces, and `protobuf` for types that derive `prost::Message`.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(item: TokenStream) -> TokenStream {
    event::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
