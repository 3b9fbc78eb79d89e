//! The command as its users have it: what it says when something is wrong, and the projects that it makes.

mod messages;
mod project;

/// What a new project has for its program, compiled and tested here as well.
#[expect(dead_code, reason = "the program of the template is run by projects alone")]
#[path = "../../templates/chat/src/main.rs"]
mod template;
