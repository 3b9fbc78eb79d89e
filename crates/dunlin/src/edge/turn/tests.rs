//! The turn without sockets: whatever a network does, bytes arrive whole and in order, and nobody is starved.

mod budgets;
mod endings;
mod floods;
mod rig;
mod schedules;
mod script;
mod slow;
