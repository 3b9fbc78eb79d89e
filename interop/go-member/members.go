// Who is in the group and where, and who was: what changes of members say, which Raft does not look at.
package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// member is one member. Encoded it is the context of a change.
type member struct {
	id                   uint64
	name                 string
	urls                 []string
	isLearner, wantsVote bool
}

func (m *member) encode() []byte {
	out := appendBytes(appendNumber(nil, 1, m.id), 2, []byte(m.name))
	for _, url := range m.urls {
		out = appendMessage(out, 3, []byte(url))
	}
	return appendFlag(appendFlag(out, 4, m.isLearner), 5, m.wantsVote)
}

func (m *member) decode(data []byte) error {
	return eachField(data, func(f field) error {
		switch f.number {
		case 1:
			m.id = f.number64
		case 2:
			m.name = string(f.bytes)
		case 3:
			m.urls = append(m.urls, string(f.bytes))
		case 4:
			m.isLearner = f.number64 != 0
		case 5:
			m.wantsVote = f.number64 != 0
		default:
			return fmt.Errorf("field %d of a member is not known here", f.number)
		}
		return nil
	})
}

// memberOf takes a bare URL as well, as other programs write it.
func memberOf(id uint64, context []byte) member {
	var m member
	if text := string(context); strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") {
		m.urls = []string{text}
	} else if m.decode(context) != nil {
		m = member{} // Raft has taken it, so it is a member, even if nobody can say where.
	}
	m.id = id
	return m
}

type members struct {
	present map[uint64]member
	removed map[uint64]bool
}

func newMembers() members {
	return members{present: map[uint64]member{}, removed: map[uint64]bool{}}
}

func (m *members) sorted() []member {
	out := make([]member, 0, len(m.present))
	for _, id := range slices.Sorted(maps.Keys(m.present)) {
		out = append(out, m.present[id])
	}
	return out
}

func (m *members) apply(kind raftConfChangeType, id uint64, context []byte) {
	known, isKnown := m.present[id]
	switch kind {
	case confChangeAddNode, confChangeAddLearnerNode:
		// One that is there keeps what is known of it where nothing new is said.
		if !isKnown || len(context) > 0 {
			known = memberOf(id, context)
		}
		known.isLearner = kind == confChangeAddLearnerNode
		m.present[id] = known
		delete(m.removed, id)
	case confChangeUpdateNode:
		if isKnown {
			now := memberOf(id, context)
			now.isLearner = known.isLearner
			m.present[id] = now
		}
	case confChangeRemoveNode:
		delete(m.present, id)
		m.removed[id] = true
	}
}
