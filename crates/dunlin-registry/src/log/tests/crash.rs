//! Crashes at every call to the disk, with every fate of what was not synced.

use super::*;

/// Writes the script until a call fails, as all do after `calls`. Gives what was acknowledged, and what was attempted last.
fn run_until(calls: u64, script: &[Written]) -> (MemDisk, Model, Model) {
    let disk = MemDisk::default();
    disk.fail_all_after(calls);
    let mut acknowledged = Model::default();
    let Ok((mut log, _)) = open(&disk) else { return (disk, Model::default(), acknowledged) };
    for written in script {
        let mut attempted = acknowledged.clone();
        attempted.apply(written);
        if written.write(&mut log).is_err() {
            return (disk, acknowledged, attempted);
        }
        acknowledged = attempted;
    }
    let attempted = acknowledged.clone();
    (disk, acknowledged, attempted)
}

/// How many calls the whole script takes.
fn call_count(script: &[Written]) -> u64 {
    written(script).call_count()
}

/// What may become of the bytes from here to there: every length in steps, and in larger steps with every set of sectors zeros.
fn fates(synced_len: usize, len: usize, step: usize) -> Vec<Fate> {
    let unsynced_len = len.saturating_sub(synced_len);
    let lens = |step| (0..unsynced_len).step_by(step).chain([unsynced_len]);
    let mut fates = vec![Fate::Lost, Fate::Kept];
    fates.extend(lens(step).map(|len| Fate::Torn { len, zeroed: 0 }));
    let sectors = len.div_ceil(512) - synced_len / 512;
    assert!(sectors <= 5, "the script writes frames of {sectors} sectors, which have too many subsets");
    for zeroed in 1..1 << sectors {
        fates.extend(lens(step * 4).map(|len| Fate::Torn { len, zeroed }));
    }
    fates
}

/// Every disk that a crash may leave of this one: every set of names that were not synced, with every fate of the bytes.
fn crashes(disk: &MemDisk, step: usize) -> Vec<MemDisk> {
    let (mut bytes, mut names) = (None, 0);
    let kept = disk.crash(|what| {
        match what {
            Unsynced::Name { .. } => names += 1,
            Unsynced::Bytes { synced_len, len, .. } => {
                assert!(bytes.replace((synced_len, len)).is_none(), "two files are not synced");
            }
        }
        Fate::Kept
    });
    let mut found = vec![kept];
    let (synced_len, len) = bytes.unwrap_or_default();
    for of_bytes in fates(synced_len, len, step) {
        for kept_names in 0..1_u32 << names {
            let mut name = 0;
            found.push(disk.crash(|what| match what {
                Unsynced::Bytes { .. } => of_bytes,
                Unsynced::Name { .. } => {
                    name += 1;
                    if kept_names & (1 << (name - 1)) == 0 { Fate::Lost } else { Fate::Kept }
                }
            }));
        }
    }
    found
}

#[track_caller]
fn assert_found(disk: &MemDisk, acknowledged: &Model, attempted: &Model) -> Recovered {
    let (_, recovered) = open(disk).unwrap_or_else(|error| panic!("{error}"));
    let is_one = acknowledged.is(&recovered) || attempted.is(&recovered);
    assert!(is_one, "acknowledged {acknowledged:?}\nattempted {attempted:?}\nfound {recovered:?}");
    recovered
}

#[test]
fn crash_at_any_call_loses_nothing_acknowledged_and_invents_nothing() {
    let script = script();
    let (mut tried, mut torn) = (0, 0);
    for calls in 0..=call_count(&script) {
        let (disk, acknowledged, attempted) = run_until(calls, &script);
        for found in crashes(&disk, 1) {
            let recovered = assert_found(&found, &acknowledged, &attempted);
            tried += 1;
            torn += usize::from(recovered.cut.is_some());
            // What was found is safe: it is there after the power goes at once.
            let again = open(&found.crash(|_| Fate::Lost)).unwrap().1;
            assert_eq!(Recovered { cut: recovered.cut, ..again }, recovered);
        }
    }
    println!("{tried} crashes, {torn} of them tore something");
    assert!(tried > 10_000 && torn > 5_000, "{tried} {torn}");
}

#[test]
fn process_that_dies_without_the_machine_loses_nothing_either() {
    let script = script();
    for calls in 0..=call_count(&script) {
        let (disk, acknowledged, attempted) = run_until(calls, &script);
        // The same disk, which nobody crashed: what was written is there for all to read.
        disk.fail_all_after(u64::MAX);
        let recovered = assert_found(&disk, &acknowledged, &attempted);
        let again = open(&disk.crash(|_| Fate::Lost)).unwrap().1;
        assert_eq!(Recovered { cut: recovered.cut, ..again }, recovered);
    }
}

#[test]
fn crash_while_opening_after_a_crash_loses_nothing_acknowledged() {
    let script = script();
    let mut tried = 0;
    for calls in 0..=call_count(&script) {
        let (disk, acknowledged, attempted) = run_until(calls, &script);
        for torn in crashes(&disk, 100) {
            for calls in 0.. {
                let disk = torn.crash(|_| Fate::Lost);
                disk.fail_all_after(calls);
                let is_open = open(&disk).is_ok();
                for found in crashes(&disk, 400) {
                    assert_found(&found, &acknowledged, &attempted);
                    tried += 1;
                }
                if is_open {
                    break;
                }
            }
        }
    }
    println!("{tried} crashes while opening");
    assert!(tried > 2_000, "{tried}");
}

#[test]
fn log_goes_on_after_every_crash() {
    let script = script();
    for calls in 0..=call_count(&script) {
        let (disk, ..) = run_until(calls, &script);
        for found in crashes(&disk, 100) {
            let (mut log, recovered) = open(&found).unwrap();
            let last_index = recovered.entries.last().map_or(recovered.snapshot.index, |entry| entry.index);
            let mut model = Model {
                hard_state: recovered.hard_state,
                snapshot: recovered.snapshot,
                entries: recovered.entries,
            };
            for count in 1..4 {
                let written = Written::entries(last_index + count..last_index + count + 1, 9, 300);
                written.write(&mut log).unwrap();
                model.apply(&written);
            }
            model.assert_is(&open(&found.crash(|_| Fate::Lost)).unwrap().1);
        }
    }
}
