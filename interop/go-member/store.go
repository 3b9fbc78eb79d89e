// The state machine: the same keys, revisions and remembered answers as dunlin-registry's store has after the same entries.
package main

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds that members of dunlin's have as well; beyond them they refuse, which this member does not know how to do.
const (
	keyLenMax   = 4 << 10
	valueLenMax = 1 << 20
	clientsMax  = 16384
)

// keyValue is a key with its value and its numbers.
type keyValue struct {
	key                               string
	value                             []byte
	createRevision, modRevision, uses uint64
}

// Which fields of a keyValue a message has: a put has a lease where a stored one has a revision.
const (
	putFields    = 2
	storedFields = 5
)

func (kv *keyValue) decode(data []byte, fields protowire.Number) error {
	return eachField(data, func(f field) error {
		if f.number > fields {
			return fmt.Errorf("field %d of a key is not known here: leases are not", f.number)
		}
		switch f.number {
		case 1:
			kv.key = string(f.bytes)
		case 2:
			kv.value = slices.Clone(f.bytes)
		case 3:
			kv.createRevision = f.number64
		case 4:
			kv.modRevision = f.number64
		case 5:
			kv.uses = f.number64
		}
		return nil
	})
}

// lastCommand is what a client asked last and was told, so that a retry is not done twice.
type lastCommand struct {
	sequence, index uint64
	// answer is as it is written into an image.
	answer []byte
}

type store struct {
	applied, revision uint64
	keys              map[string]*keyValue
	clients           map[uint64]lastCommand
	members           members
}

func newStore() *store {
	return &store{keys: map[string]*keyValue{}, clients: map[uint64]lastCommand{}, members: newMembers()}
}

// apply does what a command says. An error means that this member cannot follow the others any more.
func (s *store) apply(index uint64, c *command) error {
	s.applied = index
	if s.isKnown(c) {
		return nil
	}
	var answer []byte
	switch {
	case c.put != nil:
		if n := len(c.put.key); n == 0 || n > keyLenMax || len(c.put.value) > valueLenMax {
			return fmt.Errorf("entry %d puts a key of %d bytes with a value of %d, which is to be refused", index, n, len(c.put.value))
		}
		answer = s.put(c.put)
	case c.remove != nil:
		answer = s.remove(c.remove)
	default:
		answer = appendNumber(nil, 1, s.revision)
	}
	s.remember(index, c, answer)
	return nil
}

func (s *store) put(put *keyValue) []byte {
	s.revision++
	before, wasThere := s.keys[put.key]
	now := &keyValue{key: put.key, value: put.value, createRevision: s.revision, modRevision: s.revision, uses: 1}
	if wasThere {
		now.createRevision, now.uses = before.createRevision, before.uses+1
	}
	s.keys[put.key] = now
	return appendChoice(appendNumber(nil, 1, s.revision), 2, protowire.EncodeBool(wasThere))
}

func (s *store) remove(r *keyRange) []byte {
	before := len(s.keys)
	maps.DeleteFunc(s.keys, func(key string, _ *keyValue) bool { return r.contains(key) })
	removed := uint64(before - len(s.keys))
	if removed > 0 {
		s.revision++
	}
	return appendChoice(appendNumber(nil, 1, s.revision), 3, removed)
}

// isKnown says whether a command was done before, or comes out of turn; then nothing is done.
func (s *store) isKnown(c *command) bool {
	if c.client == 0 {
		return false
	}
	last, known := s.clients[c.client]
	if !known {
		return c.sequence != 1
	}
	return c.sequence != last.sequence+1
}

func (s *store) remember(index uint64, c *command, answer []byte) {
	if c.client == 0 {
		return
	}
	s.clients[c.client] = lastCommand{sequence: c.sequence, index: index, answer: answer}
	if len(s.clients) > clientsMax {
		oldest := c.client
		for client, last := range s.clients {
			if last.index < s.clients[oldest].index {
				oldest = client
			}
		}
		delete(s.clients, oldest)
	}
}

// sorted are the keys in order.
func (s *store) sorted() []*keyValue {
	out := make([]*keyValue, 0, len(s.keys))
	for _, name := range slices.Sorted(maps.Keys(s.keys)) {
		out = append(out, s.keys[name])
	}
	return out
}
