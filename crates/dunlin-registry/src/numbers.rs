//! Who numbers the commands of a handle, so that one that was sent twice is done once.
//!
//! A client's commands are done one after another. So a handle has several clients, and a command takes one that is free, or makes a
//! new one: commands that are asked for at the same time do not wait for each other.
//!
//! Invariant: a number is used for one command. When it is not known what came of a command, its client is given up: with the next
//! number it would be refused if that command is never done, and with the same one mistaken for it if it is.

use std::sync::{Mutex, PoisonError};

use crate::limits::NUMBERED_CLIENTS_MAX;

/// The clients of a handle that are free.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Mutex<Vec<Client>>);

/// A client, and how many commands it has had done.
#[derive(Debug, Clone, Copy)]
struct Client {
    id: u64,
    done: u64,
}

/// The turn of one command. Dropped without a word, its client is given up.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    numbers: &'a Numbers,
    client: Client,
}

impl Numbers {
    /// The next command's turn. `fresh_id` is who numbers it if nobody is free.
    pub(crate) fn turn(&self, fresh_id: impl FnOnce() -> u64) -> Turn<'_> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let client = free.unwrap_or_else(|| Client { id: fresh_id(), done: 0 });
        Turn { numbers: self, client }
    }

    fn put_back(&self, client: Client) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < NUMBERED_CLIENTS_MAX {
            free.push(client);
        }
    }
}

impl Turn<'_> {
    /// The client and the number of the command.
    pub(crate) const fn number(&self) -> (u64, u64) {
        (self.client.id, self.client.done + 1)
    }

    /// It is known what came of the command: it was done, or refused by the store.
    pub(crate) fn used(self) {
        self.numbers.put_back(Client { done: self.client.done + 1, ..self.client });
    }

    /// The command was not proposed.
    pub(crate) fn unused(self) {
        self.numbers.put_back(self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody_new() -> u64 {
        panic!("somebody is free")
    }

    #[test]
    fn commands_at_the_same_time_have_clients_of_their_own_and_later_ones_take_those_that_are_free() {
        let numbers = Numbers::default();
        let (first, second) = (numbers.turn(|| 1), numbers.turn(|| 2));
        assert_eq!((first.number(), second.number()), ((1, 1), (2, 1)));
        first.used();
        let third = numbers.turn(nobody_new);
        assert_eq!(third.number(), (1, 2));
        second.unused();
        assert_eq!(numbers.turn(nobody_new).number(), (2, 1), "its number was not used");
    }

    #[test]
    fn a_client_whose_command_has_an_unknown_outcome_is_not_seen_again() {
        let numbers = Numbers::default();
        assert_eq!(numbers.turn(|| 1).number(), (1, 1));
        assert_eq!(numbers.turn(|| 2).number(), (2, 1));
    }
}
