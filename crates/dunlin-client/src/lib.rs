//! An async client of dunlin, nano and pomelo servers over WebSocket, TCP and TLS.
//!
//! ```no_run
//! use dunlin_client::{Client, Reconnect};
//! use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//!
//! #[derive(Serialize)]
//! struct Join { room: String }
//! #[derive(Deserialize)]
//! struct Joined { members: Vec<String> }
//! #[derive(Deserialize)]
//! struct Line { from: String, text: String }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut builder = Client::builder("ws://127.0.0.1:3250/")
//!     .user(serde_json::json!({"name": "ann"}))
//!     .reconnect(Reconnect::full_jitter(Duration::from_millis(250), Duration::from_secs(20)));
//! // Subscribed before connecting, so that not even the first push is missed.
//! let mut lines = builder.subscribe("onLine");
//! let client = builder.connect().await?;
//!
//! let joined: Joined = client.request("Chat.join", &Join { room: "lobby".to_owned() }).await?;
//! println!("{} are here", joined.members.join(", "));
//! client.notify("Chat.say", &serde_json::json!({"text": "hello"})).await?;
//! while let Some(push) = lines.recv().await {
//!     let line: Line = push.json()?;
//!     println!("{}: {}", line.from, line.text);
//! }
//! println!("the end: {}", client.closed().await);
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] is a cheap handle. One task owns the connection; it ends when the connection does, or when the last handle is
//! dropped. The protocol itself, without sockets, is [`dunlin_wire::ClientProtocol`].
//!
//! Promises:
//! - each request has exactly one outcome: the server's answer, its error, or a [`RequestError`] that says whether it was sent;
//! - every queue is bounded ([`ClientBuilder`] has the sizes) and every wait has a deadline;
//! - a slow reader of pushes never holds up the connection: what does not fit its queue is dropped and counted;
//! - after a drop nothing is sent a second time by itself.

mod builder;
mod client;
mod connect;
mod connection;
mod driver;
mod error;
mod limits;
mod link;
mod push;
mod reconnect;
mod shared;
mod state;
mod tls;
mod url;

pub use builder::ClientBuilder;
pub use client::Client;
pub use error::{ConnectError, NotifyError, ProtocolFault, RequestError, ServerError};
pub use push::{Push, Pushes};
pub use reconnect::Reconnect;
pub use state::{CloseReason, State, StateWatch};
pub use url::UrlError;
