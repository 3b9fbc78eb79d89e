//! Tests of packet.
