// Raft as etcd 3.6 has it.
package main

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

type (
	raftNode           = raft.Node
	raftReady          = raft.Ready
	raftConfig         = raft.Config
	raftLogger         = raft.DefaultLogger
	raftMessage        = raftpb.Message
	raftEntry          = raftpb.Entry
	raftHardState      = raftpb.HardState
	raftSnapshot       = raftpb.Snapshot
	raftMetadata       = raftpb.SnapshotMetadata
	raftConfState      = raftpb.ConfState
	raftConfChange     = raftpb.ConfChange
	raftConfChangeV2   = raftpb.ConfChangeV2
	raftConfChangeI    = raftpb.ConfChangeI
	raftConfChangeType = raftpb.ConfChangeType
	memoryStorage      = raft.MemoryStorage
	snapshotStatus     = raft.SnapshotStatus
)

const (
	entryNormal              = raftpb.EntryNormal
	entryConfChange          = raftpb.EntryConfChange
	confChangeAddNode        = raftpb.ConfChangeAddNode
	confChangeRemoveNode     = raftpb.ConfChangeRemoveNode
	confChangeUpdateNode     = raftpb.ConfChangeUpdateNode
	confChangeAddLearnerNode = raftpb.ConfChangeAddLearnerNode
	messageSnapshot          = raftpb.MsgSnap
	snapshotFailure          = raft.SnapshotFailure
	stateLeader              = raft.StateLeader
)

var (
	newMemoryStorage = raft.NewMemoryStorage
	restartNode      = raft.RestartNode
	isEmptySnapshot  = raft.IsEmptySnap
	isEmptyHardState = raft.IsEmptyHardState

	errCompacted = raft.ErrCompacted
)

func setSnapshot(m *raftMessage, s raftSnapshot) { m.Snapshot = &s }
