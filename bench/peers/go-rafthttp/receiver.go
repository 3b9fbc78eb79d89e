// The receiver: counts what comes, and answers with how much that was.
package main

import (
	"context"
	"sync/atomic"

	"go.etcd.io/etcd/server/v3/etcdserver/api/rafthttp"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// appendsPerAnswer is after how many appends the receiver says how far it is.
const appendsPerAnswer = 64

type counter struct {
	transport atomic.Pointer[rafthttp.Transport]
	count     atomic.Uint64
	index     atomic.Uint64 // What the next append follows.
	wrong     atomic.Uint64 // Appends that did not follow the one before.
}

func (c *counter) answer(m raftpb.Message) {
	m.From, m.To, m.Term = receiverID, senderID, term
	if t := c.transport.Load(); t != nil {
		t.Send([]raftpb.Message{m})
	}
}

func (c *counter) Process(_ context.Context, m raftpb.Message) error {
	switch m.Type {
	case raftpb.MsgApp:
		count := c.count.Add(1)
		if c.index.Swap(m.Index+uint64(len(m.Entries))) != m.Index {
			c.wrong.Add(1)
		}
		if count%appendsPerAnswer == 0 {
			c.answer(raftpb.Message{Type: raftpb.MsgAppResp, Index: count})
		}
	case raftpb.MsgHeartbeat:
		c.answer(raftpb.Message{
			Type: raftpb.MsgHeartbeatResp, Index: c.count.Load(), RejectHint: c.wrong.Load(), Context: m.Context,
		})
	}
	return nil
}

func (c *counter) IsIDRemoved(uint64) bool                    { return false }
func (c *counter) ReportUnreachable(uint64)                   {}
func (c *counter) ReportSnapshot(uint64, raft.SnapshotStatus) {}
