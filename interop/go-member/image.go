// The store as bytes, and back: the database of a snapshot, the same bytes as a member of dunlin's makes of the same store.
//
// Records, each after its length in four bytes (little-endian): head, members, removed ids, clients, keys, and an end with the
// number of records and a checksum over everything before it.
package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

const imageVersion = 1

// What a record is, by the number of its field.
const (
	recordHead    = 1
	recordKey     = 2
	recordClient  = 4
	recordMember  = 5
	recordRemoved = 6
	recordEnd     = 7
)

type imageWriter struct {
	out     []byte
	records uint64
}

func (w *imageWriter) record(record []byte) {
	w.out = binary.LittleEndian.AppendUint32(w.out, uint32(len(record)))
	w.out = append(w.out, record...)
	w.records++
}

func (s *store) image() []byte {
	w := &imageWriter{}
	head := appendNumber(nil, 1, imageVersion)
	head = appendNumber(appendNumber(head, 2, s.applied), 3, s.revision)
	w.record(appendMessage(nil, recordHead, head))
	for _, m := range s.members.sorted() {
		w.record(appendMessage(nil, recordMember, m.encode()))
	}
	for _, id := range slices.Sorted(maps.Keys(s.members.removed)) {
		w.record(appendChoice(nil, recordRemoved, id))
	}
	for _, client := range slices.Sorted(maps.Keys(s.clients)) {
		last := s.clients[client]
		stored := appendNumber(appendNumber(nil, 1, client), 2, last.sequence)
		stored = appendMessage(appendNumber(stored, 3, last.index), 4, last.answer)
		w.record(appendMessage(nil, recordClient, stored))
	}
	for _, kv := range s.sorted() {
		stored := appendBytes(appendBytes(nil, 1, []byte(kv.key)), 2, kv.value)
		stored = appendNumber(appendNumber(stored, 3, kv.createRevision), 4, kv.modRevision)
		w.record(appendMessage(nil, recordKey, appendNumber(stored, 5, kv.uses)))
	}
	end := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), w.records)
	sum := crc32.ChecksumIEEE(w.out)
	end = protowire.AppendFixed32(protowire.AppendTag(end, 2, protowire.Fixed32Type), sum)
	w.record(appendMessage(nil, recordEnd, end))
	return w.out
}

// storeFromImage reads an image. Nothing is kept of one that is damaged.
func storeFromImage(image []byte) (*store, error) {
	s, rest, sum := newStore(), image, uint32(0)
	for position := uint64(0); ; position++ {
		if len(rest) < 4 {
			return nil, fmt.Errorf("an image ends after %d records, before its end", position)
		}
		recordLen := uint64(binary.LittleEndian.Uint32(rest))
		if uint64(len(rest)-4) < recordLen {
			return nil, fmt.Errorf("an image ends in record %d, before its end", position)
		}
		whole := rest[:4+recordLen]
		rest = rest[4+recordLen:]
		isEnd, err := s.restore(whole[4:], position, sum)
		if err != nil {
			return nil, fmt.Errorf("record %d of an image: %w", position, err)
		}
		if isEnd {
			return s, nil
		}
		sum = crc32.Update(sum, crc32.IEEETable, whole)
	}
}

// restore takes one record; whether it was the end.
func (s *store) restore(record []byte, position uint64, sum uint32) (isEnd bool, err error) {
	err = eachField(record, func(f field) error {
		if (f.number == recordHead) != (position == 0) {
			return fmt.Errorf("a record of kind %d stands where it must not", f.number)
		}
		switch f.number {
		case recordHead:
			return s.restoreHead(f.bytes)
		case recordKey:
			kv := &keyValue{}
			if err := kv.decode(f.bytes, storedFields); err != nil {
				return err
			}
			s.keys[kv.key] = kv
		case recordClient:
			return s.restoreClient(f.bytes)
		case recordMember:
			var m member
			if err := m.decode(f.bytes); err != nil {
				return err
			}
			s.members.present[m.id] = m
		case recordRemoved:
			s.members.removed[f.number64] = true
		case recordEnd:
			isEnd = true
			return checkEnd(f.bytes, position, sum)
		default:
			return fmt.Errorf("it is of kind %d, which is not known here", f.number)
		}
		return nil
	})
	return isEnd, err
}

func (s *store) restoreHead(head []byte) error {
	var version uint64
	err := eachField(head, func(f field) error {
		switch f.number {
		case 1:
			version = f.number64
		case 2:
			s.applied = f.number64
		case 3:
			s.revision = f.number64
		}
		return nil
	})
	if err == nil && version != imageVersion {
		err = fmt.Errorf("it is of version %d and not of %d", version, imageVersion)
	}
	return err
}

func (s *store) restoreClient(stored []byte) error {
	var client uint64
	var last lastCommand
	err := eachField(stored, func(f field) error {
		switch f.number {
		case 1:
			client = f.number64
		case 2:
			last.sequence = f.number64
		case 3:
			last.index = f.number64
		case 4:
			last.answer = slices.Clone(f.bytes)
		default:
			return fmt.Errorf("a client was refused, which is not known here (field %d)", f.number)
		}
		return nil
	})
	s.clients[client] = last
	return err
}

func checkEnd(end []byte, records uint64, sum uint32) error {
	var saidRecords, saidSum uint64
	err := eachField(end, func(f field) error {
		switch f.number {
		case 1:
			saidRecords = f.number64
		case 2:
			saidSum = f.number64
		}
		return nil
	})
	if err == nil && (saidRecords != records || saidSum != uint64(sum)) {
		err = fmt.Errorf("%d records with checksum %x are said to be %d with %x", records, sum, saidRecords, saidSum)
	}
	return err
}
