//! Tests of the registry's public API: members that run, on the loopback and on disks of their own.
#![cfg(test)]

mod conformance;
mod group;
mod grpc;
mod http;
mod locks;
mod restart;
mod running;
mod wrong;
