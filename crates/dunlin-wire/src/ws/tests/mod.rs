//! Tests of the WebSocket codec as a whole.
