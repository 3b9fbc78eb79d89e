// What the routes ask of the member: commands and changes that are proposed and waited for, and reads that are not stale.
package main

import (
	"context"
	"encoding/binary"
	"time"
)

const (
	// requestTime is how long a request may take. It is short: what is lost with a leader is not proposed again.
	requestTime = 2 * time.Second
	// askAgainTime is how long a question to the leader may stay without an answer: one that has committed nothing yet drops it.
	askAgainTime = 500 * time.Millisecond
)

// execute proposes a command and waits until it was applied here.
func (n *node) execute(ctx context.Context, c *command) error {
	number, applied, end := n.waiting.begin()
	defer end()
	c.request = number
	if err := n.raft.Propose(ctx, c.encode()); err != nil {
		return err
	}
	return wait(ctx, applied)
}

// change proposes a change of members and waits until it was applied here.
func (n *node) change(ctx context.Context, change raftConfChange) error {
	number, applied, end := n.waiting.begin()
	defer end()
	change.ID = number
	if err := n.raft.ProposeConfChange(ctx, change); err != nil {
		return err
	}
	return wait(ctx, applied)
}

func wait(ctx context.Context, applied <-chan uint64) error {
	select {
	case <-applied:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waitReadable waits until what is read here is not stale.
func (n *node) waitReadable(ctx context.Context) error {
	index, err := n.readIndex(ctx)
	if err != nil {
		return err
	}
	for {
		n.mutex.RLock()
		applied, changed := n.store.applied, n.changed
		n.mutex.RUnlock()
		if applied >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *node) readIndex(ctx context.Context) (uint64, error) {
	for {
		number, told, end := n.waiting.begin()
		// A leader tells questions apart by their bytes alone, whoever asks.
		question := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, n.id), number)
		if err := n.raft.ReadIndex(ctx, question); err != nil {
			end()
			return 0, err
		}
		select {
		case index := <-told:
			return index, nil
		case <-time.After(askAgainTime):
			end()
		case <-ctx.Done():
			end()
			return 0, ctx.Err()
		}
	}
}
