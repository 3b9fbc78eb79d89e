//! Tests of dictionary.
