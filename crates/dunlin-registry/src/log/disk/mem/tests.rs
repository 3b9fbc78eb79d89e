//! Tests of the disk in memory: that it loses what a disk may lose, and nothing else.

use super::*;

fn written() -> MemDisk {
    let mut disk = MemDisk::default();
    disk.create("a").unwrap();
    disk.append("a", &[1; 1000]).unwrap();
    disk.sync("a").unwrap();
    disk.sync_directory().unwrap();
    disk
}

#[test]
fn synced_bytes_under_a_synced_name_survive_every_crash() {
    let disk = written().crash(|_| Fate::Lost);
    assert_eq!(disk.read("a").unwrap(), [1; 1000]);
}

#[test]
fn unsynced_bytes_are_lost_kept_or_torn_and_zeros_spare_what_was_synced() {
    let mut disk = written();
    disk.append("a", &[2; 1000]).unwrap();
    let found = |fate| disk.crash(|_| fate).read("a").unwrap();
    assert_eq!(found(Fate::Lost), [1; 1000]);
    assert_eq!(found(Fate::Kept), [[1; 1000], [2; 1000]].concat());
    assert_eq!(found(Fate::Torn { len: 3, zeroed: 0 }).len(), 1003);
    let torn = found(Fate::Torn { len: 1000, zeroed: 0b101 });
    assert_eq!(torn[..1000], [1; 1000]);
    assert_eq!(torn[1000..1024], [0; 24]);
    assert_eq!(torn[1024..1536], [2; 512]);
    assert_eq!(torn[1536..], [0; 464]);
}

#[test]
fn unsynced_name_is_lost_although_the_bytes_are_synced() {
    let mut disk = written();
    disk.create("b").unwrap();
    disk.append("b", b"b").unwrap();
    disk.sync("b").unwrap();
    disk.remove("a").unwrap();
    assert_eq!(disk.crash(|_| Fate::Lost).list().unwrap(), ["a"]);
    assert_eq!(disk.crash(|_| Fate::Kept).list().unwrap(), ["b"]);
    let only_made =
        disk.crash(|what| if what == (Unsynced::Name { name: "b" }) { Fate::Kept } else { Fate::Lost });
    assert_eq!(only_made.list().unwrap(), ["a", "b"]);
    disk.rename("b", "c").unwrap();
    disk.sync_directory().unwrap();
    assert_eq!(disk.crash(|_| Fate::Lost).read("c").unwrap(), b"b");
}

#[test]
fn unsynced_shortening_is_undone_by_a_crash() {
    let mut disk = written();
    assert!(disk.is_synced());
    disk.truncate("a", 10).unwrap();
    assert!(!disk.is_synced());
    disk.append("a", &[3; 10]).unwrap();
    assert_eq!(disk.crash(|_| Fate::Lost).read("a").unwrap(), [1; 1000]);
    let torn = disk.crash(|_| Fate::Torn { len: 2, zeroed: 0 }).read("a").unwrap();
    assert_eq!(torn, [[1; 10].as_slice(), &[3; 2]].concat());
}

#[test]
fn what_a_sync_failed_to_write_is_lost_even_when_the_next_one_succeeds() {
    let mut disk = written();
    disk.fail_sync_after(0);
    disk.append("a", &[2; 10]).unwrap();
    disk.sync("a").unwrap_err();
    disk.append("a", &[3; 10]).unwrap();
    disk.sync("a").unwrap();
    assert_eq!(disk.read("a").unwrap()[1000..1010], [2; 10]);
    let found = disk.crash(|_| Fate::Lost).read("a").unwrap();
    assert_eq!((&found[1000..1010], &found[1010..]), ([0; 10].as_slice(), [3; 10].as_slice()));
}

#[test]
fn what_a_sync_failed_to_write_is_written_when_it_is_written_again() {
    let mut disk = written();
    disk.fail_sync_after(0);
    disk.append("a", &[2; 10]).unwrap();
    disk.sync("a").unwrap_err();
    disk.rewrite("a", 1000, &[3; 10]).unwrap_err();
    disk.rewrite("a", 1003, &[2; 7]).unwrap();
    disk.sync("a").unwrap();
    let found = disk.crash(|_| Fate::Lost).read("a").unwrap();
    assert_eq!((&found[1000..1003], &found[1003..]), ([0; 3].as_slice(), [2; 7].as_slice()));
}

#[test]
fn full_disk_takes_what_fits_and_room_comes_back() {
    let mut disk = written();
    disk.set_free_len(Some(10));
    assert_eq!(disk.append("a", &[2; 11]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.read("a").unwrap().len(), 1010);
    disk.truncate("a", 999).unwrap();
    disk.append("a", &[2; 11]).unwrap();
    disk.append("a", &[2; 1]).unwrap_err();
}

#[test]
fn calls_after_the_power_went_change_nothing() {
    let mut disk = written();
    assert_eq!(disk.call_count(), 4);
    disk.fail_all_after(1);
    disk.append("a", b"x").unwrap();
    disk.sync("a").unwrap_err();
    disk.remove("a").unwrap_err();
    assert_eq!(disk.crash(|_| Fate::Lost).read("a").unwrap().len(), 1000);
}
