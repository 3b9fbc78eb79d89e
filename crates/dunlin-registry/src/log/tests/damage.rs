//! Damage of every kind in files that were synced: refused by file and offset, and never taken for less than there was.

use proptest::prelude::*;

use super::*;

/// The names and bytes of all files.
fn contents(disk: &MemDisk) -> Vec<(String, Vec<u8>)> {
    files(disk).into_iter().map(|name| (name.clone(), disk.read(&name).unwrap())).collect()
}

/// A disk with these files.
fn with(contents: &[(String, Vec<u8>)]) -> MemDisk {
    let disk = MemDisk::default();
    for (name, bytes) in contents {
        disk.put(name, bytes.clone());
    }
    disk
}

#[track_caller]
fn refusal(disk: &MemDisk) -> (String, u64, Damage) {
    match open(disk) {
        Err(LogError::Damaged { file, offset, what }) => (file, offset, what),
        other => panic!("not refused as damaged: {other:?}"),
    }
}

/// Several frames in each of several segments, with sectors that are zeros but for a bit.
fn small() -> Vec<Written> {
    let mut sparse = Written::entries(5..6, 2, 900);
    sparse.entries[0].data = (0..900).map(|at| u8::from(at == 600)).collect::<Vec<u8>>().into();
    vec![
        Written::entries(1..4, 1, 60).voted(1, 7, 0),
        Written::entries(4..5, 1, 500),
        sparse,
        Written::mark(2, 1),
        Written::entries(6..8, 2, 30).voted(2, 7, 5),
        Written::entries(8..9, 2, 0),
    ]
}

/// The frames of a file: where each begins, and where the last one ends.
fn frame_offsets(bytes: &[u8]) -> Vec<usize> {
    let mut offsets = vec![16];
    while let Some(len) = bytes.get(offsets[offsets.len() - 1]..).and_then(|rest| rest.first_chunk()) {
        let len = u32::from_le_bytes(*len) as usize;
        offsets.push(offsets[offsets.len() - 1] + 16 + len.next_multiple_of(16));
    }
    offsets
}

#[test]
fn every_flipped_bit_is_refused_with_its_file_and_the_offset_of_its_frame() {
    let disk = written(&small());
    let good = contents(&disk);
    assert!(good.len() >= 3);
    let mut flips = 0;
    for (at, (name, bytes)) in good.iter().enumerate() {
        let mut starts = frame_offsets(bytes);
        starts.insert(0, 0);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = good.clone();
            flipped[at].1[bit / 8] ^= 1 << (bit % 8);
            let (file, offset, what) = refusal(&with(&flipped));
            let start = starts.iter().rev().find(|start| **start <= bit / 8).copied().unwrap();
            assert_eq!((&file, offset), (name, start as u64), "bit {bit}: {what}");
            flips += 1;
        }
    }
    println!("{flips} flips");
    assert!(flips > 15_000, "{flips}");
}

#[test]
fn every_length_that_cuts_into_the_last_frame_is_a_torn_tail() {
    let script = small();
    let disk = written(&script);
    let good = contents(&disk);
    let (name, bytes) = good.last().unwrap();
    let offsets = frame_offsets(bytes);
    let start = offsets[offsets.len() - 2];
    let mut model = Model::default();
    script.iter().take(script.len() - 1).for_each(|written| model.apply(written));
    for len in start..bytes.len() {
        let mut cut = good.clone();
        cut.last_mut().unwrap().1.truncate(len);
        let disk = with(&cut);
        let (_, recovered) = open(&disk).unwrap();
        model.assert_is(&recovered);
        assert_eq!(recovered.cut, (len > start).then_some((len - start) as u64));
        assert_eq!(disk.read(name).unwrap().len(), start);
    }
}

#[test]
fn every_length_of_an_earlier_segment_but_its_own_is_refused() {
    let good = contents(&written(&small()));
    for (at, (name, bytes)) in good.iter().enumerate().take(good.len() - 1) {
        for len in 0..bytes.len() {
            let mut cut = good.clone();
            cut[at].1.truncate(len);
            match open(&with(&cut)) {
                Err(LogError::Damaged { file, what, .. }) if &file == name => {
                    assert_eq!(what, Damage::TornInside, "{len}");
                }
                // Cut between two frames it is whole in itself; the next one knows better, or would be of no use without.
                Err(LogError::Damaged { what: Damage::StartDiffers | Damage::Misfit(_), .. }) => {
                    assert!(frame_offsets(bytes).contains(&len), "{len}");
                }
                other => panic!("{name} cut to {len}: {other:?}"),
            }
        }
    }
}

#[test]
fn vote_cut_off_the_end_of_an_earlier_segment_is_missed() {
    let disk = written(&[]);
    let (mut log, _) = open(&disk).unwrap();
    for vote in 0.. {
        Written::default().voted(1, vote, 0).write(&mut log).unwrap();
        if log.segment_count() > 1 {
            break;
        }
    }
    let mut cut = contents(&disk);
    let offsets = frame_offsets(&cut[0].1);
    cut[0].1.truncate(offsets[offsets.len() - 2]);
    assert_eq!(refusal(&with(&cut)), (cut[1].0.clone(), 16, Damage::StartDiffers));
}

#[test]
fn zeroed_sector_is_refused_wherever_a_frame_follows() {
    let good = contents(&written(&small()));
    let last_frame = {
        let offsets = frame_offsets(&good.last().unwrap().1);
        offsets[offsets.len() - 2]
    };
    for (at, (_, bytes)) in good.iter().enumerate() {
        for start in (0..bytes.len()).step_by(512) {
            let mut zeroed = good.clone();
            let end = (start + 512).min(bytes.len());
            zeroed[at].1[start..end].fill(0);
            let is_refused = matches!(open(&with(&zeroed)), Err(LogError::Damaged { .. }));
            // In the last segment nothing tells a sector that was lost later from one that was never written.
            let is_at_the_end = at == good.len() - 1 && end > last_frame;
            assert!(is_refused || is_at_the_end, "file {at}, sector at {start}");
        }
    }
}

#[test]
fn flipped_bit_in_a_last_frame_full_of_zeros_is_no_torn_tail() {
    let mut zeros = Written::entries(1..2, 1, 0);
    zeros.entries[0].data = vec![0; 3000].into();
    let disk = written(&[zeros]);
    let good = contents(&disk);
    let bytes = &good[0].1;
    let offsets = frame_offsets(bytes);
    for bit in offsets[offsets.len() - 2] * 8..bytes.len() * 8 {
        let mut flipped = good.clone();
        flipped[0].1[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(refusal(&with(&flipped)).1, offsets[offsets.len() - 2] as u64);
    }
}

#[test]
fn missing_doubled_swapped_and_foreign_segments_are_refused() {
    let good = contents(&written(&small()));
    let names: Vec<&String> = good.iter().map(|(name, _)| name).collect();

    let mut missing = good.clone();
    missing.remove(1);
    assert_eq!(refusal(&with(&missing)), (names[2].clone(), 0, Damage::MissingSegment { sequence: 1 }));

    let mut without_first = good.clone();
    without_first.remove(0);
    let (file, offset, what) = refusal(&with(&without_first));
    assert_eq!((&file, offset), (names[1], 0));
    assert!(matches!(what, Damage::MissingEntries { from: 3, .. }), "{what}");

    let mut doubled = good.clone();
    let double = names[1].replace("-0", "-1");
    doubled.push((double.clone(), good[1].1.clone()));
    assert_eq!(refusal(&with(&doubled)), (double, 0, Damage::DuplicateSegment));

    let mut swapped = good.clone();
    (swapped[0].1, swapped[1].1) = (good[1].1.clone(), good[0].1.clone());
    assert_eq!(refusal(&with(&swapped)), (names[0].clone(), 0, Damage::SegmentHeader));

    let mut foreign = good.clone();
    foreign.push(("latest.log".to_owned(), Vec::new()));
    assert_eq!(refusal(&with(&foreign)), ("latest.log".to_owned(), 0, Damage::Name));
}

#[test]
fn frame_of_another_segment_or_another_place_is_refused() {
    let good = contents(&written(&small()));
    let (name, bytes) = good.last().unwrap();
    let offsets = frame_offsets(bytes);
    assert!(offsets.len() >= 3, "{offsets:?}");
    let with_last = |bytes: Vec<u8>| {
        let mut changed = good.clone();
        changed.last_mut().unwrap().1 = bytes;
        with(&changed)
    };
    let repeated = [bytes, &bytes[offsets[offsets.len() - 2]..]].concat();
    let (file, offset, what) = refusal(&with_last(repeated));
    assert_eq!((&file, offset), (name, bytes.len() as u64));
    assert!(matches!(what, Damage::FrameNumber { .. }), "{what}");

    let other = &good[0].1;
    let other_frame = &other[frame_offsets(other)[1]..];
    let mixed = [bytes.as_slice(), other_frame].concat();
    assert_eq!(refusal(&with_last(mixed)), (name.clone(), bytes.len() as u64, Damage::HeaderChecksum));
}

#[test]
fn torn_frame_before_a_whole_one_is_refused() {
    let good = contents(&written(&small()));
    let (name, bytes) = good.last().unwrap();
    let offsets = frame_offsets(bytes);
    let mut changed = good.clone();
    changed.last_mut().unwrap().1[offsets[0]..offsets[0] + 16].fill(0);
    let (file, offset, what) = refusal(&with(&changed));
    assert_eq!((&file, offset), (name, offsets[0] as u64));
    assert_eq!(what, Damage::FrameFollows { number: 1, offset: offsets[1] as u64 });
}

#[test]
fn frame_that_follows_on_several_torn_ones_is_found() {
    let votes: Vec<_> = (1..6).map(|vote| Written::default().voted(1, vote, 0)).collect();
    let good = contents(&written(&votes));
    let (name, mut bytes) = good[0].clone();
    let offsets = frame_offsets(&bytes);
    bytes[offsets[2]..offsets[5]].fill(0);
    let what = Damage::FrameFollows { number: 5, offset: offsets[5] as u64 };
    assert_eq!(refusal(&with(&[(name.clone(), bytes)])), (name, offsets[2] as u64, what));
}

#[test]
fn last_segment_without_a_frame_is_damage_when_those_before_were_removed() {
    let disk = written(&script());
    let mut left = contents(&disk);
    let (name, mut bytes) = left.pop().unwrap();
    bytes.truncate(20);
    let disk = with(&[(name.clone(), bytes)]);
    assert_eq!(refusal(&disk), (name, 0, Damage::NoFirstFrame));
    assert!(matches!(Log::identity(&disk), Err(LogError::Damaged { what: Damage::NoFirstFrame, .. })));
}

#[test]
fn frames_that_say_what_they_must_not_are_refused_although_their_checksums_are_right() {
    let name = SegmentName { sequence: 0, first_index: 1 };
    let start = Start { cluster_id: OURS.cluster_id, member_id: OURS.member_id, ..Start::default() };
    let payload = |written: &Written, start: Option<&Start>| {
        let mut out = Vec::new();
        encode(&written.batch(), false, start, &mut out);
        out
    };
    let first = payload(&Written::entries(1..3, 1, 10), Some(&start));
    let max = payload(&Written::entries(u64::MAX - 1..u64::MAX, 1, 10), None);
    let cases = [
        (vec![payload(&Written::entries(1..3, 1, 10), None)], Damage::NoStart),
        (vec![first.clone(), payload(&Written::default(), Some(&start))], Damage::StartInside),
        (vec![first.clone(), vec![0xff; 30]], Damage::Payload),
        (
            vec![first.clone(), payload(&Written::entries(4..5, 1, 10), None)],
            Damage::Misfit(BatchError::Gap { index: 4, last_index: 2 }),
        ),
        (vec![first.clone(), max], Damage::Misfit(BatchError::Gap { index: u64::MAX - 1, last_index: 2 })),
        (
            vec![first.clone(), payload(&Written::mark(u64::MAX, 1), None)],
            Damage::Misfit(BatchError::Gap { index: u64::MAX, last_index: 2 }),
        ),
        (
            vec![first, payload(&Written::mark(2, 1), None), payload(&Written::mark(1, 1), None)],
            Damage::Misfit(BatchError::MarkBehind { index: 1, mark: 2 }),
        ),
    ];
    for (payloads, expected) in cases {
        let mut segment = Segment::new(name);
        let mut bytes = Vec::new();
        encode_segment_header(name, &mut bytes);
        let mut at = 0;
        for payload in payloads {
            at = bytes.len();
            encode_frame(&payload, segment.end(), &mut bytes);
            segment.grow(bytes.len());
        }
        let disk = with(&[(name.to_string(), bytes)]);
        assert_eq!(refusal(&disk), (name.to_string(), at as u64, expected));
    }
}

/// Every state that the log went through.
fn states(script: &[Written]) -> Vec<Model> {
    let mut states = vec![Model::default()];
    for written in script {
        let mut next = states[states.len() - 1].clone();
        next.apply(written);
        states.push(next);
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_becomes_of_the_files_opening_neither_panics_nor_invents(
        file in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        removed_len in 0..600usize,
        put in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..600),
            (0..2000usize).prop_map(|len| vec![0; len]),
            Just(vec![0xff; 64]),
        ],
    ) {
        let mut changed = contents(&written(&small()));
        let bytes = &mut changed[file.index(3)].1;
        let start = place.index(bytes.len());
        let end = (start + removed_len).min(bytes.len());
        bytes.splice(start..end, put);
        match open(&with(&changed)) {
            Ok((_, recovered)) => prop_assert!(states(&small()).iter().any(|state| state.is(&recovered))),
            Err(LogError::Damaged { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
