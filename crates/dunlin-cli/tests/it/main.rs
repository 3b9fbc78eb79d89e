//! The command as its users have it: what it says when something is wrong, and the projects that it makes.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

mod messages;
mod project;
mod secure;

/// What a new project has for its program, compiled and tested here as well.
#[expect(dead_code, reason = "the program of the template is run by projects alone")]
#[path = "../../templates/chat/src/main.rs"]
mod template;
