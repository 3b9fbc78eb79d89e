//! The client against a server in the same process, over real sockets and, where time matters, over pipes under a paused clock.

mod closing;
mod connecting;
mod faults;
mod pushes;
mod reconnecting;
mod requests;
mod server;
