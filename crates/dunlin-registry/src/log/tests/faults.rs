//! A disk that fails: syncs that do, and one that is full.

use super::*;

#[test]
fn failed_sync_poisons_the_log_and_loses_nothing_acknowledged() {
    let script = script();
    for syncs in 0.. {
        let disk = MemDisk::default();
        let Ok((mut log, _)) = open(&disk) else { unreachable!("the first syncs do not fail") };
        disk.fail_sync_after(syncs);
        let mut acknowledged = Model::default();
        let Some(failed) = script.iter().find(|written| {
            let is_failed = written.write(&mut log).map_err(|error| match error {
                LogError::Disk { step: Step::Sync | Step::SyncDirectory, .. } => {}
                other => panic!("{other}"),
            });
            if is_failed.is_ok() {
                acknowledged.apply(written);
            }
            is_failed.is_err()
        }) else {
            assert!(syncs > 15, "{syncs}");
            break;
        };
        let calls = disk.call_count();
        assert!(matches!(failed.write(&mut log), Err(LogError::Poisoned)));
        assert!(matches!(log.append(Batch::default()), Err(LogError::Poisoned)));
        assert!(matches!(log.compact(0), Err(LogError::Poisoned)));
        assert_eq!(disk.call_count(), calls, "it was tried again");
        let mut attempted = acknowledged.clone();
        attempted.apply(failed);
        for fate in [Fate::Lost, Fate::Kept] {
            let recovered = open(&disk.crash(|_| fate)).unwrap().1;
            assert!(acknowledged.is(&recovered) || attempted.is(&recovered), "{syncs}: {recovered:?}");
        }
    }
}

#[test]
fn what_a_failed_sync_left_to_read_is_safe_once_a_log_was_opened_on_it() {
    let script = script();
    for syncs in 0.. {
        let disk = MemDisk::default();
        let (mut log, _) = open(&disk).unwrap();
        disk.fail_sync_after(syncs);
        if script.iter().all(|written| written.write(&mut log).is_ok()) {
            assert!(syncs > 15, "{syncs}");
            break;
        }
        // The process ends and begins again on a machine that did not: what was not written is there to be read, and taken by
        // the system for written.
        let (mut log, recovered) = open(&disk).unwrap();
        let again = open(&disk.crash(|_| Fate::Lost)).unwrap().1;
        assert_eq!(recovered, again, "{syncs}");
        let next_index = log.last_index() + 1;
        Written::entries(next_index..next_index + 1, 9, 10).write(&mut log).unwrap();
        let last = open(&disk.crash(|_| Fate::Lost)).unwrap().1;
        assert_eq!(last.entries.last().map(|entry| entry.index), Some(next_index));
    }
}

#[test]
fn failed_sync_while_opening_is_an_error() {
    for syncs in 0..2 {
        let disk = written(&script());
        disk.fail_sync_after(syncs);
        assert!(matches!(open(&disk), Err(LogError::Disk { step: Step::Sync | Step::SyncDirectory, .. })));
        let empty = MemDisk::default();
        empty.fail_sync_after(syncs);
        assert!(matches!(open(&empty), Err(LogError::Disk { step: Step::Sync | Step::SyncDirectory, .. })));
    }
}

/// Opens a log where there is room for so many bytes, giving it more when it says that there is none.
fn open_with_room(disk: &MemDisk, is_full: &mut bool) -> Log<MemDisk> {
    match open(disk) {
        Ok((log, _)) => log,
        Err(error) => {
            assert!(error.is_retryable(), "{error}");
            assert_eq!(files(disk), Vec::<String>::new());
            *is_full = true;
            disk.set_free_len(None);
            open(disk).unwrap().0
        }
    }
}

#[test]
fn log_that_found_no_room_is_as_before_and_goes_on_when_there_is() {
    let script = script();
    for free_len in 0.. {
        let disk = MemDisk::default();
        disk.set_free_len(Some(free_len));
        let mut is_full = false;
        let mut log = open_with_room(&disk, &mut is_full);
        let mut model = Model::default();
        for written in &script {
            if let Err(error) = written.write(&mut log) {
                assert!(error.is_retryable(), "{error}");
                is_full = true;
                // As before, on the disk and in memory; so safe, and as often as it is asked.
                assert!(written.write(&mut log).unwrap_err().is_retryable());
                assert_eq!(log.last_index(), model.last_index());
                assert!(disk.is_synced());
                let recovered = open(&disk.crash(|_| Fate::Lost)).unwrap().1;
                model.assert_is(&recovered);
                assert_eq!(recovered.cut, None);
                disk.set_free_len(None);
                written.write(&mut log).unwrap();
            }
            model.apply(written);
        }
        model.assert_is(&open(&disk).unwrap().1);
        if !is_full {
            assert!(free_len > 3_000, "{free_len}");
            break;
        }
    }
}

#[test]
fn power_that_goes_while_a_full_disk_is_cleaned_up_loses_nothing() {
    let script = script();
    let steps = (0..4_000).step_by(37);
    for (free_len, calls) in steps.flat_map(|free_len| (0..3).map(move |calls| (free_len, calls))) {
        let disk = MemDisk::default();
        let (mut log, _) = open(&disk).unwrap();
        disk.set_free_len(Some(free_len));
        let mut acknowledged = Model::default();
        for written in &script {
            // The first call that finds no room is followed by what undoes it; the power goes inside of that.
            let before = disk.call_count();
            let probe = disk.clone();
            match written.write(&mut log) {
                Ok(()) => acknowledged.apply(written),
                Err(error) if error.is_retryable() => {
                    probe.fail_all_after(calls);
                    let again = written.write(&mut log).unwrap_err();
                    let mut attempted = acknowledged.clone();
                    attempted.apply(written);
                    if !again.is_retryable() {
                        assert!(matches!(written.write(&mut log), Err(LogError::Poisoned)));
                    }
                    for fate in [Fate::Lost, Fate::Kept, Fate::Torn { len: 100, zeroed: 1 }] {
                        let recovered = open(&disk.crash(|_| fate)).unwrap().1;
                        acknowledged.assert_is(&recovered);
                    }
                    assert!(disk.call_count() > before);
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}
