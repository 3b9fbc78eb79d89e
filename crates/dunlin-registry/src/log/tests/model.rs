//! What a log is, without a disk; and random runs against it.

use proptest::prelude::*;

use super::*;

/// What the log should have in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Model {
    pub(super) hard_state: HardState,
    pub(super) snapshot: SnapshotMetadata,
    pub(super) entries: Vec<Entry>,
}

impl Model {
    pub(super) fn apply(&mut self, written: &Written) {
        if let Some(hard_state) = written.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(snapshot) = &written.snapshot {
            let is_known = self.term(snapshot.index) == Some(snapshot.term);
            self.entries.retain(|entry| is_known && entry.index > snapshot.index);
            self.snapshot = snapshot.clone();
        }
        if let Some(first) = written.entries.first() {
            self.entries.retain(|entry| entry.index < first.index);
            self.entries.extend_from_slice(&written.entries);
        }
    }

    pub(super) fn last_index(&self) -> u64 {
        self.entries.last().map_or(self.snapshot.index, |entry| entry.index)
    }

    pub(super) fn is(&self, recovered: &Recovered) -> bool {
        (self.hard_state, &self.snapshot, &self.entries)
            == (recovered.hard_state, &recovered.snapshot, &recovered.entries)
    }

    #[track_caller]
    pub(super) fn assert_is(&self, recovered: &Recovered) {
        assert!(self.is(recovered), "expected {self:?}\nfound {recovered:?}");
    }

    fn term(&self, index: u64) -> Option<u64> {
        if index == self.snapshot.index {
            return Some(self.snapshot.term);
        }
        self.entries.iter().find(|entry| entry.index == index).map(|entry| entry.term)
    }
}

/// One step of a random run; distances are from the end of the log, so that every one of them is possible.
#[derive(Debug, Clone)]
enum Step {
    Append { back: u64, count: u64, new_term: bool, len: usize, zeros: bool },
    Vote(u64),
    Mark { back: u64, other_term: bool },
    Install { ahead: u64, count: u64 },
    Compact { back: u64 },
    Reopen,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (prop_oneof![4 => Just(0), 1 => 0..9u64], 1..6u64, any::<bool>(), 0..900usize, any::<bool>())
            .prop_map(|(back, count, new_term, len, zeros)| Step::Append { back, count, new_term, len, zeros }),
        1 => any::<u64>().prop_map(Step::Vote),
        2 => (0..12u64, prop::bool::weighted(0.2)).prop_map(|(back, other_term)| Step::Mark { back, other_term }),
        1 => (1..9u64, 0..3u64).prop_map(|(ahead, count)| Step::Install { ahead, count }),
        2 => (0..9u64).prop_map(|back| Step::Compact { back }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..40)
}

/// What a step writes, given what is there; `None` for one that does not write.
fn write_of(step: &Step, model: &Model, term: &mut u64) -> Option<Written> {
    let last_index = model.last_index();
    Some(match *step {
        Step::Append { back, count, new_term, len, zeros } => {
            *term += u64::from(new_term);
            let first = (last_index + 1).saturating_sub(back).max(model.snapshot.index + 1);
            let mut written = Written::entries(first..first + count, *term, len);
            if zeros {
                written.entries[0].data = vec![0; len].into();
            }
            written
        }
        Step::Vote(vote) => Written::default().voted(*term, vote, last_index),
        Step::Mark { back, other_term } => {
            let index = last_index.saturating_sub(back).max(model.snapshot.index);
            let known = model.term(index).unwrap_or_default();
            Written::mark(index, known + u64::from(other_term))
        }
        Step::Install { ahead, count } => {
            *term += 1;
            let index = last_index + ahead;
            let entries = entries(index + 1..index + 1 + count, *term, 20);
            Written { snapshot: Some(mark(index, *term)), entries, ..Written::default() }
        }
        Step::Compact { back } => Written::compact(last_index.saturating_sub(back)),
        Step::Reopen | Step::Crash => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn log_is_what_the_model_is_after_any_run(steps in steps()) {
        let mut disk = MemDisk::default();
        let (mut log, _) = open(&disk).unwrap();
        let mut model = Model::default();
        let mut term = 1;
        for step in &steps {
            match write_of(step, &model, &mut term) {
                Some(written) => {
                    written.write(&mut log).unwrap();
                    model.apply(&written);
                }
                None => {
                    if matches!(step, Step::Crash) {
                        disk = disk.crash(|_| Fate::Lost);
                    }
                    let (opened, recovered) = open(&disk).unwrap();
                    prop_assert!(model.is(&recovered), "{model:?}\n{recovered:?}");
                    prop_assert_eq!(recovered.cut, None);
                    log = opened;
                }
            }
            prop_assert_eq!(log.last_index(), model.last_index());
        }
        let recovered = open(&disk).unwrap().1;
        prop_assert!(model.is(&recovered), "{model:?}\n{recovered:?}");
    }
}
