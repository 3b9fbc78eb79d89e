//! The simulation itself: right code passes, wrong code does not, and a seed gives one run.

use std::time::Duration;

use dunlin_sim::{Bug, Keep, find, run};

#[test]
fn seeds_of_what_is_shipped_find_nothing() {
    let reports: Vec<_> = (0..40).map(|seed| run(seed, None, Keep::Nothing)).collect();
    for report in &reports {
        assert_eq!(report.wrong, None, "seed {}", report.seed);
    }
    let acts: usize = reports.iter().map(|report| report.acts).sum();
    let committed: usize = reports.iter().map(|report| report.committed).sum();
    assert!(acts > 1_000 && committed > 1_000, "little was done: {acts} acts, {committed} entries");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_another() {
    let mut traces = Vec::new();
    for seed in 100..120 {
        let (once, again) = (run(seed, None, Keep::Nothing), run(seed, None, Keep::Nothing));
        assert_eq!(once, again);
        traces.push(once.trace);
    }
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 20);
}

#[test]
fn keeping_what_happens_does_not_change_it() {
    let (silent, told) = (run(7, None, Keep::Nothing), run(7, None, Keep::All));
    assert_eq!((silent.trace, silent.steps), (told.trace, told.steps));
    assert!(silent.events.is_empty() && told.events.len() > 100);
}

#[test]
fn bugs_that_many_seeds_show_are_found() {
    for bug in
        [Bug::StaleRead, Bug::SyncLies, Bug::WatchSkips, Bug::CandidateClaimsMore, Bug::LeaseWithoutGuard]
    {
        let found = find(bug, 0, Duration::from_secs(20));
        let (seed, checker, _) = found.by.unwrap_or_else(|| panic!("{} is not found", bug.name()));
        let again = run(seed, Some(bug), Keep::Last);
        assert_eq!(again.wrong.map(|(checker, _)| checker), Some(checker), "seed {seed} shows it again");
        assert!(!again.events.is_empty());
    }
}

#[test]
fn every_bug_has_a_name_of_its_own() {
    for bug in Bug::ALL {
        assert_eq!(Bug::named(bug.name()), Some(*bug));
        assert!(!bug.text().is_empty());
    }
}
