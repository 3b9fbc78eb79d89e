//! Tests of routing, handlers and the macro, without any connection.
