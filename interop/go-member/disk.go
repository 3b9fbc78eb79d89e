// What a member has on its disk: one file of records that only grows, and the images of snapshots beside it.
//
// A record has its length and its checksum before it. What was being written when the process died is cut when the file is opened:
// nobody was told of it. The same records in the same order make the same log, so a restart does again what the life before did.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// Kinds of records.
const (
	diskHardState byte = iota + 1
	diskEntry
	// diskOwnSnapshot says of a snapshot that was taken here; the log keeps a tail before it.
	diskOwnSnapshot
	// diskLeaderSnapshot says of one that came from the leader, in place of the log.
	diskLeaderSnapshot
)

const recordHeadLen = 9

// marshaler is any of Raft's messages.
type marshaler interface{ Marshal() ([]byte, error) }

type disk struct {
	file    *os.File
	dir     string
	storage *memoryStorage
	// tail is how many entries the log keeps before a snapshot of its own.
	tail     uint64
	snapshot raftMetadata
	unsynced []byte
}

// openDisk opens the log and follows it; whether there was none.
func openDisk(dir string, tail uint64) (d *disk, isNew bool, err error) {
	if err := os.MkdirAll(snapshotDir(dir), 0o750); err != nil {
		return nil, false, err
	}
	path := filepath.Join(dir, "log")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, false, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, false, err
	}
	d = &disk{file: file, dir: dir, storage: newMemoryStorage(), tail: tail}
	whole, err := d.follow(data)
	if err != nil {
		return nil, false, fmt.Errorf("the log %s: %w", path, err)
	}
	if err := file.Truncate(whole); err != nil {
		return nil, false, err
	}
	_, err = file.Seek(whole, 0)
	return d, whole == 0, err
}

func snapshotDir(dir string) string { return filepath.Join(dir, "snapshots") }

func (d *disk) imagePath(index uint64) string {
	return filepath.Join(snapshotDir(d.dir), fmt.Sprintf("%016x.snap.db", index))
}

// follow does what the records say, up to the first one that is not whole, and says where that begins.
func (d *disk) follow(data []byte) (int64, error) {
	var hardState raftHardState
	at := 0
	for len(data)-at >= recordHeadLen {
		head := data[at : at+recordHeadLen]
		bodyLen := int(binary.LittleEndian.Uint32(head))
		if len(data)-at-recordHeadLen < bodyLen {
			break
		}
		body := data[at+recordHeadLen : at+recordHeadLen+bodyLen]
		if crc32.Update(crc32.ChecksumIEEE(head[8:]), crc32.IEEETable, body) != binary.LittleEndian.Uint32(head[4:]) {
			break
		}
		if err := d.followRecord(head[8], body, &hardState); err != nil {
			return 0, fmt.Errorf("the record at %d: %w", at, err)
		}
		at += recordHeadLen + bodyLen
	}
	return int64(at), d.storage.SetHardState(hardState)
}

func (d *disk) followRecord(kind byte, body []byte, hardState *raftHardState) error {
	switch kind {
	case diskHardState:
		*hardState = raftHardState{}
		return hardState.Unmarshal(body)
	case diskEntry:
		var entry raftEntry
		if err := entry.Unmarshal(body); err != nil {
			return err
		}
		return d.storage.Append([]raftEntry{entry})
	case diskOwnSnapshot, diskLeaderSnapshot:
		var metadata raftMetadata
		if err := metadata.Unmarshal(body); err != nil {
			return err
		}
		if kind == diskOwnSnapshot {
			return d.compact(metadata)
		}
		return d.install(metadata)
	}
	return fmt.Errorf("it is of kind %d, which there is not", kind)
}

func (d *disk) install(metadata raftMetadata) error {
	d.snapshot = metadata
	return d.storage.ApplySnapshot(raftSnapshot{Metadata: metadata})
}

func (d *disk) compact(metadata raftMetadata) error {
	d.snapshot = metadata
	if _, err := d.storage.CreateSnapshot(metadata.Index, &metadata.ConfState, nil); err != nil {
		return err
	}
	if metadata.Index <= d.tail {
		return nil
	}
	err := d.storage.Compact(metadata.Index - d.tail)
	if errors.Is(err, errCompacted) {
		return nil // After a leader's snapshot the log may begin later than the tail would.
	}
	return err
}

func (d *disk) write(kind byte, message marshaler) error {
	body, err := message.Marshal()
	if err != nil {
		return err
	}
	sum := crc32.Update(crc32.ChecksumIEEE([]byte{kind}), crc32.IEEETable, body)
	d.unsynced = binary.LittleEndian.AppendUint32(d.unsynced, uint32(len(body)))
	d.unsynced = binary.LittleEndian.AppendUint32(d.unsynced, sum)
	d.unsynced = append(append(d.unsynced, kind), body...)
	return nil
}

func (d *disk) sync() error {
	if len(d.unsynced) == 0 {
		return nil
	}
	if _, err := d.file.Write(d.unsynced); err != nil {
		return err
	}
	d.unsynced = d.unsynced[:0]
	return d.file.Sync()
}

// save puts what Raft wants to be kept on the disk, then into the log in memory. A leader's image is there already.
func (d *disk) save(hardState raftHardState, entries []raftEntry, snapshot raftSnapshot) error {
	if !isEmptySnapshot(snapshot) {
		if err := d.write(diskLeaderSnapshot, &snapshot.Metadata); err != nil {
			return err
		}
	}
	for n := range entries {
		if err := d.write(diskEntry, &entries[n]); err != nil {
			return err
		}
	}
	if !isEmptyHardState(hardState) {
		if err := d.write(diskHardState, &hardState); err != nil {
			return err
		}
	}
	if err := d.sync(); err != nil {
		return err
	}
	if !isEmptySnapshot(snapshot) {
		if err := d.install(snapshot.Metadata); err != nil {
			return err
		}
	}
	if !isEmptyHardState(hardState) {
		if err := d.storage.SetHardState(hardState); err != nil {
			return err
		}
	}
	return d.storage.Append(entries)
}

// take keeps a snapshot of this member's own: first the image, then the record that says so.
func (d *disk) take(metadata raftMetadata, image []byte) error {
	if err := writeWhole(d.imagePath(metadata.Index), image); err != nil {
		return err
	}
	before := d.snapshot.Index
	if err := d.write(diskOwnSnapshot, &metadata); err != nil {
		return err
	}
	if err := d.sync(); err != nil {
		return err
	}
	if before > 0 {
		// It is in nobody's way; the next start does not need it.
		_ = os.Remove(d.imagePath(before))
	}
	return d.compact(metadata)
}

// writeWhole writes a file that is there as a whole or not at all.
func writeWhole(path string, data []byte) error {
	unfinished := path + ".new"
	file, err := os.Create(unfinished)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
