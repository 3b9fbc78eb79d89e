// A message in JSON, every field by its name and every one always there, so that two of them are compared as text.
package main

import "fmt"

type message struct {
	Type       string   `json:"type"`
	To         uint64   `json:"to"`
	From       uint64   `json:"from"`
	Term       uint64   `json:"term"`
	LogTerm    uint64   `json:"log_term"`
	Index      uint64   `json:"index"`
	Entries    []entry  `json:"entries"`
	Commit     uint64   `json:"commit"`
	Snapshot   snapshot `json:"snapshot"`
	Reject     bool     `json:"reject"`
	RejectHint uint64   `json:"reject_hint"`
	Context    []byte   `json:"context"`
}

type entry struct {
	Type  string `json:"type"`
	Term  uint64 `json:"term"`
	Index uint64 `json:"index"`
	Data  []byte `json:"data"`
}

type snapshot struct {
	Data           []byte   `json:"data"`
	Index          uint64   `json:"index"`
	Term           uint64   `json:"term"`
	Voters         []uint64 `json:"voters"`
	Learners       []uint64 `json:"learners"`
	VotersOutgoing []uint64 `json:"voters_outgoing"`
	LearnersNext   []uint64 `json:"learners_next"`
	AutoLeave      bool     `json:"auto_leave"`
}

func (m *message) raft() (raftMessage, error) {
	kind, ok := messageTypes[m.Type]
	if !ok {
		return raftMessage{}, fmt.Errorf("no message is of type %q", m.Type)
	}
	out := raftMessage{
		Type: raftMessageType(kind), To: m.To, From: m.From, Term: m.Term, LogTerm: m.LogTerm, Index: m.Index,
		Commit: m.Commit, Reject: m.Reject, RejectHint: m.RejectHint, Context: given(m.Context),
	}
	for _, e := range m.Entries {
		kind, ok := entryTypes[e.Type]
		if !ok {
			return raftMessage{}, fmt.Errorf("no entry is of type %q", e.Type)
		}
		data := given(e.Data)
		out.Entries = append(out.Entries, raftEntry{Type: raftEntryType(kind), Term: e.Term, Index: e.Index, Data: data})
	}
	s := &m.Snapshot
	setSnapshot(&out, raftSnapshot{Data: given(s.Data), Metadata: raftSnapshotMetadata{
		Index: s.Index, Term: s.Term,
		ConfState: raftConfState{
			Voters: s.Voters, Learners: s.Learners, VotersOutgoing: s.VotersOutgoing, LearnersNext: s.LearnersNext,
			AutoLeave: s.AutoLeave,
		},
	}})
	return out, nil
}

func messageOf(m *raftMessage) message {
	s := snapshotOf(m)
	members := &s.Metadata.ConfState
	out := message{
		Type: m.Type.String(), To: m.To, From: m.From, Term: m.Term, LogTerm: m.LogTerm, Index: m.Index,
		Entries: []entry{}, Commit: m.Commit, Reject: m.Reject, RejectHint: m.RejectHint, Context: listed(m.Context),
		Snapshot: snapshot{
			Data: listed(s.Data), Index: s.Metadata.Index, Term: s.Metadata.Term, Voters: listed(members.Voters),
			Learners: listed(members.Learners), VotersOutgoing: listed(members.VotersOutgoing),
			LearnersNext: listed(members.LearnersNext), AutoLeave: members.AutoLeave,
		},
	}
	for _, e := range m.Entries {
		out.Entries = append(out.Entries, entry{Type: e.Type.String(), Term: e.Term, Index: e.Index, Data: listed(e.Data)})
	}
	return out
}

// listed makes nothing an empty list, which JSON writes as one.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// given makes an empty list nothing, as Raft has it.
func given(bytes []byte) []byte {
	if len(bytes) == 0 {
		return nil
	}
	return bytes
}
