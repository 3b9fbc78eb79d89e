//! Tests of compress.
