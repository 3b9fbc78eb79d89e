//! Tests of the public API: against servers of etcd's where the variable `DUNLIN_ETCD` names one, and without them.
#![cfg(test)]

mod conformance;
mod failures;
mod members;
mod servers;
#[cfg(feature = "tls")]
mod tls;
mod users;
