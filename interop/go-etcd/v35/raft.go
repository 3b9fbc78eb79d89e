// Raft's types as etcd 3.5 has them.
package main

import (
	"go.etcd.io/etcd/raft/v3"
	"go.etcd.io/etcd/raft/v3/raftpb"
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

func snapshotOf(m *raftMessage) raftSnapshot { return m.Snapshot }

func setSnapshot(m *raftMessage, s raftSnapshot) { m.Snapshot = s }
