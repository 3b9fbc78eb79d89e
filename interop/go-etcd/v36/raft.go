// Raft's types as etcd 3.6 has them.
package main

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

type (
	raftMessage          = raftpb.Message
	raftMessageType      = raftpb.MessageType
	raftEntry            = raftpb.Entry
	raftEntryType        = raftpb.EntryType
	raftSnapshot         = raftpb.Snapshot
	raftSnapshotMetadata = raftpb.SnapshotMetadata
	raftConfState        = raftpb.ConfState
	snapshotStatus       = raft.SnapshotStatus
)

const snapshotFinish = raft.SnapshotFinish

var (
	messageTypes = raftpb.MessageType_value
	entryTypes   = raftpb.EntryType_value
)

// snapshotOf takes none for an empty one: etcd 3.5 has no other way to say it.
func snapshotOf(m *raftMessage) raftSnapshot {
	if m.Snapshot == nil {
		return raftSnapshot{}
	}
	return *m.Snapshot
}

func setSnapshot(m *raftMessage, s raftSnapshot) {
	if m.Type == raftpb.MsgSnap {
		m.Snapshot = &s
	}
}
