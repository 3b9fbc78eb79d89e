//! Who numbers the commands of a handle, so that one that was sent twice is done once.
//!
//! A client's commands are done one after another. So a handle has several clients, and a command takes one that is free, or makes a
//! new one: commands that are asked for at the same time do not wait for each other.
//!
//! Invariant: a number is used for one command. When it is not known what came of a command, its client is given up: with the next
//! number it would be refused if that command is never done, and with the same one mistaken for it if it is.

use std::sync::{Mutex, PoisonError};

use crate::error::RegistryError;
use crate::limits::NUMBERED_CLIENTS_MAX;
use crate::store::{Answered, StoreError};

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
struct Turn<'a> {
    numbers: &'a Numbers,
    client: Client,
}

impl Numbers {
    /// Does a command, for which `ask` is given the client and the number, and does it again as somebody new while the store has forgotten
    /// who asks.
    pub(crate) async fn execute<Fut>(
        &self,
        ask: impl Fn((u64, u64)) -> Fut,
    ) -> Result<Answered, RegistryError>
    where
        Fut: Future<Output = Result<Answered, RegistryError>>,
    {
        loop {
            let turn = self.turn(|| fastrand::u64(1..));
            let done = ask(turn.number()).await;
            match &done {
                // Others have asked so much since that the store no longer knows us: somebody new may. Had the command been done, that
                // would have been the answer; and who is new is never forgotten, so this ends.
                Err(RegistryError::Store(StoreError::ClientForgotten { .. })) => continue,
                Ok(_) | Err(RegistryError::Store(_)) => turn.used(),
                // It was not proposed, so its number was not used.
                Err(RegistryError::Overloaded | RegistryError::TooLarge { .. }) => turn.unused(),
                Err(_) => {}
            }
            return done;
        }
    }

    /// The next command's turn. `fresh_id` is who numbers it if nobody is free.
    fn turn(&self, fresh_id: impl FnOnce() -> u64) -> Turn<'_> {
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
    const fn number(&self) -> (u64, u64) {
        (self.client.id, self.client.done + 1)
    }

    /// It is known what came of the command: it was done, or refused by the store.
    fn used(self) {
        self.numbers.put_back(Client { done: self.client.done + 1, ..self.client });
    }

    /// The command was not proposed.
    fn unused(self) {
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

    #[tokio::test]
    async fn a_command_whose_client_is_forgotten_is_asked_for_again_by_somebody_new() {
        let (numbers, asked) = (Numbers::default(), Mutex::new(Vec::new()));
        numbers.turn(|| 7).used();
        let done = numbers.execute(|(client, sequence)| {
            asked.lock().unwrap().push((client, sequence));
            let is_known = client != 7;
            async move {
                let forgotten = StoreError::ClientForgotten { client };
                if is_known { Ok(Answered::default()) } else { Err(forgotten.into()) }
            }
        });
        done.await.unwrap();
        let asked = asked.into_inner().unwrap();
        assert_eq!((asked.len(), asked[0], asked[1].1), (2, (7, 2), 1));
        assert_eq!(numbers.turn(nobody_new).number(), (asked[1].0, 2));
    }

    #[test]
    fn a_client_whose_command_has_an_unknown_outcome_is_not_seen_again() {
        let numbers = Numbers::default();
        assert_eq!(numbers.turn(|| 1).number(), (1, 1));
        assert_eq!(numbers.turn(|| 2).number(), (2, 1));
    }
}
