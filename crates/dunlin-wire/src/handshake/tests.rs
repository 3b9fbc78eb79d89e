//! Tests of handshake.
