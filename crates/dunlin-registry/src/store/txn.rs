//! Transactions: everything is looked at before anything is done.

use super::command::{
    Answer, Answered, Compare, Compared, KeyValue, Relation, Txn, TxnAnswer, TxnOperation, TxnStep,
};
use super::{Store, StoreError};
use crate::limits::RANGE_LEN_MAX;

impl Store {
    pub(super) fn transact(&mut self, txn: &Txn) -> Result<TxnAnswer, StoreError> {
        let has_held = txn.compares.iter().all(|compare| self.holds(compare));
        let operations = if has_held { &txn.then } else { &txn.otherwise };
        let mut needed = 0;
        for operation in operations {
            if let Some(TxnStep::Put(put)) = &operation.step {
                needed += self.check_put(put, needed)?;
            }
        }
        let before = self.revision;
        let mut room = RANGE_LEN_MAX;
        let mut steps: Vec<Answered> =
            operations.iter().map(|step| self.step(before + 1, step, &mut room)).collect();
        for step in &mut steps {
            step.revision = self.revision;
        }
        Ok(TxnAnswer { has_held, steps })
    }

    /// Does one operation. Those of a transaction share one revision, which there is when one of them changes something, and the
    /// room for what they read.
    fn step(&mut self, revision: u64, operation: &TxnOperation, room: &mut usize) -> Answered {
        let answer = operation.step.as_ref().map(|step| match step {
            TxnStep::Put(put) => {
                let was_there = self.put(revision, put);
                self.revision = revision;
                Answer::Put(was_there)
            }
            TxnStep::Delete(range) => {
                let deleted = self.delete(revision, range);
                if deleted > 0 {
                    self.revision = revision;
                }
                Answer::Deleted(deleted)
            }
            TxnStep::Get(get) => {
                let answer = self.range_within(&get.range, get.limit, *room);
                *room = room.saturating_sub(answer.entries.iter().map(KeyValue::len).sum());
                Answer::Range(answer)
            }
        });
        Answered { revision, answer }
    }

    pub(super) fn holds(&self, compare: &Compare) -> bool {
        let (Ok(relation), Some(compared)) = (Relation::try_from(compare.relation), &compare.compared) else {
            return false;
        };
        let entry = self.keys.get(&compare.key);
        let number = |of: fn(&KeyValue) -> u64| entry.as_ref().map_or(0, of);
        let ordering = match compared {
            Compared::Version(given) => number(|entry| entry.version).cmp(given),
            Compared::CreateRevision(given) => number(|entry| entry.create_revision).cmp(given),
            Compared::ModRevision(given) => number(|entry| entry.mod_revision).cmp(given),
            Compared::Lease(given) => number(|entry| entry.lease).cmp(given),
            Compared::Value(given) => match &entry {
                Some(entry) => entry.value.cmp(given),
                None => return false,
            },
        };
        match relation {
            Relation::Equal => ordering.is_eq(),
            Relation::NotEqual => ordering.is_ne(),
            Relation::Greater => ordering.is_gt(),
            Relation::Less => ordering.is_lt(),
        }
    }
}
