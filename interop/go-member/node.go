// The member: etcd's Raft core between its disk, its store and its peers. One goroutine does everything in the order etcd does it.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	tickTime = 100 * time.Millisecond
	// farewellTime is how long a member that was removed stays, so that the others hear that its removal is committed.
	farewellTime = time.Second
	// promoteLagMax is how many entries a learner may lack that is given a vote.
	promoteLagMax = 1000
)

type node struct {
	id              uint64
	raft            raftNode
	disk            *disk
	peers           *peers
	waiting         *waiting
	snapshotEntries uint64
	confState       raftConfState

	mutex sync.RWMutex
	store *store
	// changed is closed and made anew whenever something was applied.
	changed chan struct{}
}

// startNode begins or goes on. A new log begins with the entries that every first member has: one for each of them.
func startNode(f *flags) (*node, error) {
	d, isNew, err := openDisk(f.dir, f.snapshotTail)
	if err != nil {
		return nil, err
	}
	if isNew && !f.join {
		if err := d.bootstrap(f.members()); err != nil {
			return nil, err
		}
	}
	n := &node{
		id: f.id, disk: d, waiting: newWaiting(), snapshotEntries: f.snapshotEntries, store: newStore(),
		changed: make(chan struct{}), confState: d.snapshot.ConfState,
	}
	if d.snapshot.Index > 0 {
		if n.store, err = d.load(d.snapshot.Index); err != nil {
			return nil, err
		}
	}
	n.raft = restartNode(&raftConfig{
		ID: f.id, ElectionTick: 10, HeartbeatTick: 1, Storage: d.storage, Applied: d.snapshot.Index,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, MaxUncommittedEntriesSize: 64 << 20,
		CheckQuorum: true, PreVote: true, Logger: &raftLogger{Logger: log.New(os.Stderr, "raft ", log.LstdFlags|log.Lmicroseconds)},
	})
	known := f.members()
	if len(n.store.members.present) > 0 {
		known = n.store.members.sorted()
	}
	n.peers, err = startPeers(f, n, known)
	return n, err
}

func (d *disk) bootstrap(members []member) error {
	var entries []raftEntry
	for place := range members {
		index := uint64(place + 1)
		m := &members[place]
		change := raftConfChange{ID: index, Type: confChangeAddNode, NodeID: m.id, Context: m.encode()}
		data, err := change.Marshal()
		if err != nil {
			return err
		}
		entries = append(entries, raftEntry{Type: entryConfChange, Term: 1, Index: index, Data: data})
	}
	return d.save(raftHardState{Term: 1, Commit: uint64(len(entries))}, entries, raftSnapshot{})
}

// load reads an image that is kept.
func (d *disk) load(index uint64) (*store, error) {
	path := d.imagePath(index)
	image, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := storeFromImage(image)
	if err != nil {
		return nil, fmt.Errorf("the image %s: %w", path, err)
	}
	if s.applied != index {
		return nil, fmt.Errorf("the image %s is of index %d", path, s.applied)
	}
	return s, nil
}

// run goes on until something ends the member.
func (n *node) run() error {
	ticks := time.NewTicker(tickTime)
	defer ticks.Stop()
	var farewell <-chan time.Time
	for {
		select {
		case <-ticks.C:
			n.raft.Tick()
			n.promote()
		case ready := <-n.raft.Ready():
			if err := n.handle(&ready); err != nil {
				return err
			}
			n.raft.Advance()
			if farewell == nil && n.isRemoved(n.id) {
				farewell = time.After(farewellTime)
			}
		case err := <-n.peers.critical:
			return fmt.Errorf("a peer says: %w", err)
		case <-farewell:
			return fmt.Errorf("this member was removed from its group")
		}
	}
}

func (n *node) handle(ready *raftReady) error {
	if err := n.disk.save(ready.HardState, ready.Entries, ready.Snapshot); err != nil {
		return fmt.Errorf("the log cannot be written: %w", err)
	}
	for _, state := range ready.ReadStates {
		if question := state.RequestCtx; len(question) == 16 {
			n.waiting.tell(binary.BigEndian.Uint64(question[8:]), state.Index)
		}
	}
	if !isEmptySnapshot(ready.Snapshot) {
		if err := n.install(ready.Snapshot.Metadata); err != nil {
			return err
		}
	}
	n.send(ready.Messages)
	if err := n.apply(ready.CommittedEntries); err != nil {
		return err
	}
	return n.takeSnapshot()
}

func (n *node) install(metadata raftMetadata) error {
	s, err := n.disk.load(metadata.Index)
	if err != nil {
		return err
	}
	n.mutex.Lock()
	n.store = s
	n.tellChanged()
	n.mutex.Unlock()
	n.confState = metadata.ConfState
	log.Printf("a snapshot of index %d is installed", metadata.Index)
	n.peers.follow(&s.members)
	return nil
}

// send gives messages to the transport; a snapshot goes with the store as it is now, as etcd's does.
func (n *node) send(messages []raftMessage) {
	out := messages[:0]
	for _, message := range messages {
		if message.Type != messageSnapshot {
			out = append(out, message)
			continue
		}
		index := n.store.applied
		term, err := n.disk.storage.Term(index)
		if err != nil {
			log.Printf("a snapshot of index %d cannot be sent: %v", index, err)
			n.raft.ReportSnapshot(message.To, snapshotFailure)
			continue
		}
		metadata := raftMetadata{Index: index, Term: term, ConfState: n.confState}
		setSnapshot(&message, raftSnapshot{Metadata: metadata})
		log.Printf("a snapshot of index %d goes to %x", index, message.To)
		n.peers.sendSnapshot(message, n.store.image())
	}
	n.peers.send(out)
}

// apply does what entries say. Nobody else writes the store, so reading it here takes no lock.
func (n *node) apply(entries []raftEntry) error {
	if len(entries) == 0 {
		return nil
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for place := range entries {
		entry := &entries[place]
		if err := n.applyEntry(entry); err != nil {
			return fmt.Errorf("entry %d: %w", entry.Index, err)
		}
	}
	n.tellChanged()
	return nil
}

func (n *node) tellChanged() {
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *node) applyEntry(entry *raftEntry) error {
	switch {
	case entry.Type == entryNormal && len(entry.Data) == 0:
		n.store.applied = entry.Index
	case entry.Type == entryNormal:
		c, err := decodeCommand(entry.Data)
		if err != nil {
			return err
		}
		if err := n.store.apply(entry.Index, c); err != nil {
			return err
		}
		n.waiting.tell(c.request, entry.Index)
	case entry.Type == entryConfChange:
		var change raftConfChange
		if err := change.Unmarshal(entry.Data); err != nil {
			return err
		}
		n.store.members.apply(change.Type, change.NodeID, change.Context)
		n.follow(entry.Index, change)
		n.waiting.tell(change.ID, entry.Index)
	default:
		var change raftConfChangeV2
		if err := change.Unmarshal(entry.Data); err != nil {
			return err
		}
		for _, step := range change.Changes {
			n.store.members.apply(step.Type, step.NodeID, change.Context)
		}
		n.follow(entry.Index, change)
	}
	return nil
}

func (n *node) follow(index uint64, change raftConfChangeI) {
	n.store.applied = index
	n.confState = *n.raft.ApplyConfChange(change)
	n.peers.follow(&n.store.members)
}

func (n *node) takeSnapshot() error {
	index := n.store.applied
	if index-n.disk.snapshot.Index < n.snapshotEntries {
		return nil
	}
	term, err := n.disk.storage.Term(index)
	if err != nil {
		return err
	}
	metadata := raftMetadata{Index: index, Term: term, ConfState: n.confState}
	return n.disk.take(metadata, n.store.image())
}

// promote gives a vote to a learner that wants one and has nearly all of the log, if this member leads.
func (n *node) promote() {
	for _, m := range n.store.members.sorted() {
		if !m.isLearner || !m.wantsVote {
			continue
		}
		status := n.raft.Status()
		if status.RaftState != stateLeader || status.Progress[m.id].Match+promoteLagMax < status.Commit {
			continue
		}
		change := raftConfChange{Type: confChangeAddNode, NodeID: m.id}
		ctx, cancel := context.WithTimeout(context.Background(), tickTime)
		if err := n.raft.ProposeConfChange(ctx, change); err != nil {
			log.Printf("member %x does not get its vote yet: %v", m.id, err)
		}
		cancel()
		return
	}
}

func (n *node) isRemoved(id uint64) bool {
	n.mutex.RLock()
	defer n.mutex.RUnlock()
	return n.store.members.removed[id]
}

// Process takes a message of a peer. It is the first of four methods that etcd's transport asks for.
func (n *node) Process(ctx context.Context, message raftMessage) error {
	if n.isRemoved(message.From) {
		return removedError(message.From)
	}
	return n.raft.Step(ctx, message)
}

// removedError is told to a member that was removed and sends messages all the same.
type removedError uint64

func (e removedError) Error() string { return fmt.Sprintf("member %x was removed", uint64(e)) }

// WriteTo is what etcd's transport answers with, as etcd's server has it.
func (e removedError) WriteTo(out http.ResponseWriter) {
	http.Error(out, e.Error(), http.StatusForbidden)
}

// IsIDRemoved says whether there was such a member and never will be again.
func (n *node) IsIDRemoved(id uint64) bool { return n.isRemoved(id) }

// ReportUnreachable tells Raft that a peer was not reached.
func (n *node) ReportUnreachable(id uint64) { n.raft.ReportUnreachable(id) }

// ReportSnapshot tells Raft what became of a snapshot.
func (n *node) ReportSnapshot(id uint64, status snapshotStatus) { n.raft.ReportSnapshot(id, status) }
