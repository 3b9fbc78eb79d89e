//! The behaviour of a whole application, through its public face only. One file for each subject.

mod answers;
mod faults;
mod groups;
mod lifecycle;
mod order;
mod slow_clients;
mod sockets;
mod support;
