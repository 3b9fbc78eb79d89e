//! Tests of the log through its interface. Here: what it does when nothing fails, and what the other tests share.

mod crash;
mod damage;
mod faults;
mod model;

use dunlin_rafthttp::raftpb::{ConfState, Entry, HardState, SnapshotMetadata};

use super::*;
use model::Model;

const OURS: Identity = Identity { cluster_id: 0x1234, member_id: 7 };

/// Segments so short that a few batches fill one.
const SEGMENT_LEN: u64 = 700;

fn config() -> LogConfig {
    LogConfig::default().with_segment_len(SEGMENT_LEN)
}

fn open(disk: &MemDisk) -> Result<(Log<MemDisk>, Recovered), LogError> {
    Log::open(disk.clone(), OURS, config())
}

/// Entries with these indexes, of this term, with so many bytes each.
fn entries(indexes: std::ops::Range<u64>, term: u64, len: usize) -> Vec<Entry> {
    let entry = |index: u64| {
        let data = (0..len).map(|at| (at as u64 ^ index ^ (term << 4)) as u8).collect::<Vec<u8>>();
        Entry { index, term, data: data.into(), ..Entry::default() }
    };
    indexes.map(entry).collect()
}

fn mark(index: u64, term: u64) -> SnapshotMetadata {
    let conf_state = ConfState { voters: vec![1, 2, 7], ..ConfState::default() };
    SnapshotMetadata { conf_state, index, term }
}

/// A batch that owns what it says.
#[derive(Debug, Clone, Default)]
struct Written {
    entries: Vec<Entry>,
    hard_state: Option<HardState>,
    snapshot: Option<SnapshotMetadata>,
    /// Compacts up to here instead of writing.
    compact: Option<u64>,
}

impl Written {
    fn entries(indexes: std::ops::Range<u64>, term: u64, len: usize) -> Self {
        Self { entries: entries(indexes, term, len), ..Self::default() }
    }

    fn voted(mut self, term: u64, vote: u64, commit: u64) -> Self {
        self.hard_state = Some(HardState { term, vote, commit });
        self
    }

    fn mark(index: u64, term: u64) -> Self {
        Self { snapshot: Some(mark(index, term)), ..Self::default() }
    }

    fn compact(index: u64) -> Self {
        Self { compact: Some(index), ..Self::default() }
    }

    fn batch(&self) -> Batch<'_> {
        Batch { entries: &self.entries, hard_state: self.hard_state, snapshot: self.snapshot.as_ref() }
    }

    fn write(&self, log: &mut Log<impl Disk>) -> Result<(), LogError> {
        match self.compact {
            Some(index) => log.compact(index).map(|_| ()),
            None => log.append(self.batch()),
        }
    }
}

/// A run with everything in it: several segments, sectors that are zeros by content, conflicts, marks of both kinds, removals.
fn script() -> Vec<Written> {
    let mut zeros = Written::entries(6..8, 1, 0);
    zeros.entries[0].data = vec![0; 1200].into();
    vec![
        Written::default().voted(1, 7, 0),
        Written::entries(1..3, 1, 40),
        Written::entries(3..6, 1, 200).voted(1, 7, 2),
        zeros,
        Written::entries(8..10, 1, 30),
        Written::entries(7..9, 2, 50).voted(2, 1, 6),
        Written::mark(6, 1),
        Written::entries(9..12, 2, 150),
        Written::entries(12..13, 2, 700).voted(2, 1, 11),
        Written::mark(40, 3),
        Written::entries(41..43, 3, 10),
        Written::compact(40),
        Written { snapshot: Some(mark(42, 3)), ..Written::entries(43..45, 4, 300) },
        Written::entries(45..46, 4, 1).voted(4, 2, 44),
        Written::mark(45, 4),
        Written::compact(43),
    ]
}

/// A disk on which all of this was written, by a log that was never opened again.
fn written(script: &[Written]) -> MemDisk {
    let disk = MemDisk::default();
    let (mut log, _) = open(&disk).unwrap();
    for written in script {
        written.write(&mut log).unwrap();
    }
    disk
}

fn files(disk: &MemDisk) -> Vec<String> {
    disk.list().unwrap()
}

#[test]
fn everything_appended_is_there_when_opened_again_after_each_step() {
    let disk = MemDisk::default();
    let mut model = Model::default();
    let mut cuts = 0;
    for written in script() {
        let (mut log, recovered) = open(&disk).unwrap();
        model.assert_is(&recovered);
        let segment_count = log.segment_count();
        written.write(&mut log).unwrap();
        cuts += usize::from(log.segment_count() > segment_count);
        model.apply(&written);
        assert_eq!(log.last_index(), model.last_index());
    }
    model.assert_is(&open(&disk).unwrap().1);
    assert!(cuts >= 4, "{cuts}");
}

#[test]
fn log_on_a_real_directory_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut model = Model::default();
    for written in script() {
        let disk = FsDisk::open(directory.path()).unwrap();
        let (mut log, recovered) = Log::open(disk, OURS, config()).unwrap();
        model.assert_is(&recovered);
        written.write(&mut log).unwrap();
        model.apply(&written);
    }
    let disk = FsDisk::open(directory.path()).unwrap();
    assert_eq!(Log::identity(&disk).unwrap(), Some(OURS));
    model.assert_is(&Log::open(disk, OURS, config()).unwrap().1);
}

#[test]
fn entries_replace_what_was_there_from_their_index_on() {
    let disk = written(&[Written::entries(1..6, 1, 10), Written::entries(3..4, 2, 10)]);
    let (log, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.entries, [entries(1..3, 1, 10), entries(3..4, 2, 10)].concat());
    assert_eq!(log.last_index(), 3);
}

#[test]
fn mark_in_the_log_drops_entries_up_to_it() {
    let disk = written(&[Written::entries(1..6, 1, 10), Written::mark(3, 1)]);
    let recovered = open(&disk).unwrap().1;
    assert_eq!((recovered.snapshot, recovered.entries), (mark(3, 1), entries(4..6, 1, 10)));
}

#[test]
fn mark_of_another_history_or_beyond_the_log_drops_all_entries() {
    for (index, term) in [(3, 2), (6, 1), (9, 2)] {
        let disk = written(&[Written::entries(1..6, 1, 10), Written::mark(index, term)]);
        let (mut log, recovered) = open(&disk).unwrap();
        assert_eq!((recovered.snapshot, recovered.entries), (mark(index, term), vec![]));
        assert_eq!(log.last_index(), index);
        Written::entries(index + 1..index + 2, 2, 10).write(&mut log).unwrap();
    }
}

#[test]
fn batch_that_does_not_fit_changes_nothing_and_the_log_goes_on() {
    let before = [Written::entries(1..6, 1, 10), Written::mark(3, 1)];
    let disk = written(&before);
    let (mut log, recovered) = open(&disk).unwrap();
    let calls = disk.call_count();
    let mut hole = Written::entries(6..9, 1, 10);
    hole.entries.remove(1);
    let cases = [
        (Written::entries(7..8, 1, 10), BatchError::Gap { index: 7, last_index: 5 }),
        (Written::entries(3..8, 1, 10), BatchError::Covered { index: 3, mark: 3 }),
        (hole, BatchError::NotContiguous { index: 6 }),
        (Written::mark(2, 1), BatchError::MarkBehind { index: 2, mark: 3 }),
        (
            Written { snapshot: Some(mark(9, 2)), ..Written::entries(9..10, 2, 10) },
            BatchError::Covered { index: 9, mark: 9 },
        ),
    ];
    for (written, expected) in cases {
        match written.write(&mut log) {
            Err(LogError::Batch(error)) => assert_eq!(error, expected),
            other => panic!("{expected:?}: {other:?}"),
        }
    }
    log.append(Batch::default()).unwrap();
    assert_eq!(disk.call_count(), calls, "something was written");
    assert_eq!(open(&disk).unwrap().1, recovered);
    Written::entries(6..7, 1, 10).write(&mut log).unwrap();
}

#[test]
fn log_of_another_member_or_cluster_is_refused_and_not_touched() {
    let disk = written(&script());
    let calls = disk.call_count();
    for (cluster_id, member_id) in [(0x1234, 8), (0x1235, 7)] {
        let theirs = Identity { cluster_id, member_id };
        match Log::open(disk.clone(), theirs, config()) {
            Err(LogError::OtherIdentity { expected, found }) => assert_eq!((expected, found), (theirs, OURS)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(disk.call_count(), calls);
}

#[test]
fn identity_is_read_without_knowing_it() {
    assert_eq!(Log::identity(&MemDisk::default()).unwrap(), None);
    assert_eq!(Log::identity(&written(&[])).unwrap(), Some(OURS));
    let disk = written(&script());
    assert!(
        !files(&disk).iter().any(|name| name.starts_with("0000000000000000-")),
        "the first segment is gone"
    );
    assert_eq!(Log::identity(&disk).unwrap(), Some(OURS));
}

#[test]
fn compaction_removes_the_segments_that_a_mark_covers_and_no_other() {
    let disk = written(&[
        Written::entries(1..4, 1, 300),
        Written::entries(4..7, 1, 300),
        Written::entries(7..10, 1, 300),
        Written::entries(10..11, 1, 300),
    ]);
    let (mut log, _) = open(&disk).unwrap();
    let (segment_count, len_bytes) = (log.segment_count(), log.len_bytes());
    assert_eq!(segment_count, 4);
    assert_eq!(log.compact(9).unwrap(), 0, "no mark is in force");
    Written::mark(8, 1).write(&mut log).unwrap();
    assert_eq!(log.compact(5).unwrap(), 1);
    assert_eq!(log.compact(20).unwrap(), 1, "entry 9 is needed");
    assert_eq!((log.segment_count(), files(&disk).len()), (2, 2));
    assert!(log.len_bytes() < len_bytes);
    let recovered = open(&disk).unwrap().1;
    assert_eq!((recovered.snapshot, recovered.entries), (mark(8, 1), entries(9..11, 1, 300)));
    Written::mark(10, 1).write(&mut log).unwrap();
    assert_eq!(log.compact(10).unwrap(), 1);
    assert_eq!(open(&disk).unwrap().1.entries, []);
}

#[test]
fn segment_with_an_entry_that_is_needed_stays_whatever_was_written_after_it() {
    let disk = written(&[Written::entries(1..3, 1, 200)]);
    let (mut log, _) = open(&disk).unwrap();
    for vote in 0.. {
        Written::default().voted(1, vote, 0).write(&mut log).unwrap();
        if log.segment_count() > 1 {
            assert!(vote > 0);
            break;
        }
    }
    Written::mark(1, 1).write(&mut log).unwrap();
    assert_eq!(log.compact(1).unwrap(), 0);
    let (mut log, _) = open(&disk).unwrap();
    assert_eq!(log.compact(1).unwrap(), 0);
    assert_eq!(open(&disk).unwrap().1.entries, entries(2..3, 1, 200));
}

#[test]
fn entries_that_replaced_those_of_a_removed_segment_are_found() {
    let disk = written(&[
        Written::entries(1..4, 1, 300),
        Written::entries(4..6, 1, 10),
        Written::entries(2..3, 2, 10),
        Written::entries(3..6, 2, 10),
        Written::mark(3, 2),
        Written::compact(3),
    ]);
    assert_eq!(files(&disk).len(), 1);
    let recovered = open(&disk).unwrap().1;
    assert_eq!((recovered.snapshot, recovered.entries), (mark(3, 2), entries(4..6, 2, 10)));
}

#[test]
fn vote_survives_the_segment_it_was_written_in() {
    let disk = written(&[
        Written::entries(1..4, 3, 300).voted(3, 2, 0),
        Written::entries(4..7, 3, 300),
        Written::mark(6, 3),
        Written::compact(6),
    ]);
    assert_eq!(files(&disk).len(), 1);
    assert_eq!(open(&disk).unwrap().1.hard_state, HardState { term: 3, vote: 2, commit: 0 });
}

#[test]
fn lengths_told_are_those_of_the_files() {
    let disk = written(&script());
    let (log, _) = open(&disk).unwrap();
    let len: usize = files(&disk).iter().map(|name| disk.read(name).unwrap().len()).sum();
    assert_eq!(log.len_bytes(), len as u64);
    assert_eq!(log.segment_count(), files(&disk).len());
}

#[test]
fn other_files_in_the_directory_are_left_alone() {
    let disk = written(&script());
    disk.put("0000000000000001.snap", vec![1]);
    let (mut log, _) = open(&disk).unwrap();
    log.compact(100).unwrap();
    assert!(files(&disk).contains(&"0000000000000001.snap".to_owned()));
}
