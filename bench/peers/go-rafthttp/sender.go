// The sender's side: its transport, what it hears of the receiver, and the kinds of work.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/rafthttp"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

const (
	windowBytes   = 16 << 20
	windowAppends = 2048
	settled       = time.Second
	patience      = 5 * time.Second
)

type sender struct {
	transport   *rafthttp.Transport
	receiverPid int

	mutex  sync.Mutex
	count  uint64 // Appends that the receiver has.
	wrong  uint64
	news   chan struct{} // The receiver has more.
	echoes chan []byte
}

func newSender(listen, target string, receiverPid int) (*sender, error) {
	s := &sender{receiverPid: receiverPid, news: make(chan struct{}, 1), echoes: make(chan []byte, 4096)}
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return nil, err
	}
	if s.transport, _, err = start(senderID, listen, dir, s); err != nil {
		return nil, err
	}
	s.transport.AddPeer(types.ID(receiverID), []string{target})
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		s.heartbeat(nil)
		select {
		case <-s.echoes:
			time.Sleep(settled)
			return s, nil
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil, errors.New("the receiver does not answer")
}

func (s *sender) Process(_ context.Context, m raftpb.Message) error {
	s.mutex.Lock()
	isNews := m.Index > s.count
	s.count, s.wrong = max(s.count, m.Index), max(s.wrong, m.RejectHint)
	s.mutex.Unlock()
	if isNews {
		select {
		case s.news <- struct{}{}:
		default:
		}
	}
	if m.Type == raftpb.MsgHeartbeatResp {
		select {
		case s.echoes <- m.Context:
		default: // Nobody looks at them under load alone.
		}
	}
	return nil
}

func (s *sender) IsIDRemoved(uint64) bool                    { return false }
func (s *sender) ReportUnreachable(uint64)                   {}
func (s *sender) ReportSnapshot(uint64, raft.SnapshotStatus) {}

func (s *sender) counted() (count, wrong uint64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.count, s.wrong
}

func (s *sender) heartbeat(context []byte) {
	s.transport.Send([]raftpb.Message{{
		Type: raftpb.MsgHeartbeat, From: senderID, To: receiverID, Term: term, Context: context,
	}})
}

// finish waits until the receiver has so many appends, and says what it has in the end.
func (s *sender) finish(appends uint64) (count, wrong uint64) {
	deadline := time.Now().Add(patience)
	for {
		s.heartbeat(nil)
		select {
		case <-s.news:
		case <-time.After(20 * time.Millisecond):
		}
		if count, wrong = s.counted(); count >= appends || time.Now().After(deadline) {
			return count, wrong
		}
	}
}

// log is a log that grows, as appends.
type log struct {
	entries int
	data    []byte
	index   uint64
	appends uint64
}

func shape(flags *flag.FlagSet) (entries, entryLen *int) {
	return flags.Int("entries", 1, "entries of one append"), flags.Int("entry-len", 64, "bytes of one entry")
}

func (l *log) next() raftpb.Message {
	m := raftpb.Message{
		Type: raftpb.MsgApp, From: senderID, To: receiverID, Term: term, Index: l.index, Commit: l.index,
		Entries: make([]raftpb.Entry, l.entries),
	}
	if l.index > 0 {
		m.LogTerm = term
	}
	for n := range m.Entries {
		l.index++
		m.Entries[n] = raftpb.Entry{Term: term, Index: l.index, Data: l.data}
	}
	l.appends++
	return m
}

func (s *sender) appends(arguments []string) (report, error) {
	flags := flag.NewFlagSet("appends", flag.ExitOnError)
	entries, entryLen := shape(flags)
	duration := flags.Int("duration-ms", 2000, "how long it measures")
	warm := flags.Int("warm-up-ms", 500, "how long it runs before that")
	if err := flags.Parse(arguments); err != nil {
		return report{}, err
	}
	l := &log{entries: *entries, data: bytes.Repeat([]byte("x"), *entryLen)}
	s.sendFor(l, time.Duration(*warm)*time.Millisecond)
	cpuBefore, begin := s.cpu(), time.Now()
	before, _ := s.counted()
	s.sendFor(l, time.Duration(*duration)*time.Millisecond)
	elapsed, cpu := time.Since(begin), s.cpu()
	after, _ := s.counted()
	count, wrong := s.finish(l.appends)
	var r report
	r.setCosts(after-before, elapsed, cpu.since(cpuBefore))
	r.MbPerS = r.Rate * float64(*entries**entryLen) / 1e6
	r.Lost, r.Wrong = l.appends-count, wrong
	return r, nil
}

func (s *sender) sendFor(l *log, duration time.Duration) {
	window := uint64(min(windowAppends, windowBytes/max(1, l.entries*len(l.data))))
	for deadline := time.Now().Add(duration); time.Now().Before(deadline); {
		for count, _ := s.counted(); l.appends-count < window; {
			s.transport.Send([]raftpb.Message{l.next()})
		}
		<-s.news
	}
}

func (s *sender) heartbeats(arguments []string) (report, error) {
	const period = 5 * time.Millisecond
	flags := flag.NewFlagSet("heartbeats", flag.ExitOnError)
	entries, entryLen := shape(flags)
	rate := flags.Int("rate", 0, "appends each second")
	heartbeats := flags.Int("heartbeats", 500, "heartbeats that are measured")
	if err := flags.Parse(arguments); err != nil {
		return report{}, err
	}
	l := &log{entries: *entries, data: bytes.Repeat([]byte("x"), *entryLen)}
	burst := *rate * int(period/time.Millisecond) / 1000
	ticks := time.NewTicker(period)
	origin := time.Now()
	var times []time.Duration
	for sent := 0; len(times) < *heartbeats; {
		due := ticks.C
		if sent == *heartbeats {
			due = nil
		}
		select {
		case <-due:
			messages := make([]raftpb.Message, burst)
			for n := range messages {
				messages[n] = l.next()
			}
			s.transport.Send(messages)
			s.heartbeat(binary.BigEndian.AppendUint64(nil, uint64(time.Since(origin))))
			sent++
		case echo := <-s.echoes:
			// Answers to those that were sent to get to know each other have nothing in them.
			if len(echo) == 8 {
				times = append(times, time.Since(origin)-time.Duration(binary.BigEndian.Uint64(echo)))
			}
		case <-time.After(patience):
			return report{}, errors.New("a heartbeat was lost")
		}
	}
	count, wrong := s.finish(l.appends)
	slices.Sort(times)
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	return report{
		P50: us(times[len(times)/2]), P99: us(times[len(times)*99/100]), Lost: l.appends - count, Wrong: wrong,
	}, nil
}

// repeated is a database that is nowhere.
type repeated struct{}

func (repeated) Read(p []byte) (int, error) {
	for n := range p {
		p[n] = 'x'
	}
	return len(p), nil
}

func (s *sender) snapshot(arguments []string) (report, error) {
	flags := flag.NewFlagSet("snapshot", flag.ExitOnError)
	length := flags.Int64("len", 256<<20, "bytes of the database")
	if err := flags.Parse(arguments); err != nil {
		return report{}, err
	}
	m := raftpb.Message{
		Type: raftpb.MsgSnap, From: senderID, To: receiverID, Term: term,
		Snapshot: &raftpb.Snapshot{Metadata: raftpb.SnapshotMetadata{
			ConfState: raftpb.ConfState{Voters: []uint64{senderID, receiverID}}, Index: 7, Term: term,
		}},
	}
	idle, err := s.restartPeaks()
	if err != nil {
		return report{}, err
	}
	cpuBefore, begin := s.cpu(), time.Now()
	merged := snap.NewMessage(m, io.NopCloser(io.LimitReader(repeated{}, *length)), *length)
	s.transport.SendSnapshot(*merged)
	if arrived := <-merged.CloseNotify(); !arrived {
		return report{}, errors.New("the snapshot did not arrive")
	}
	elapsed, cpu := time.Since(begin), s.cpu()
	peak, err := s.peaks()
	if err != nil {
		return report{}, err
	}
	var r report
	r.setCosts(1, elapsed, cpu.since(cpuBefore))
	r.TotalMs = float64(elapsed) / float64(time.Millisecond)
	r.PeakBytes = peak - idle
	return r, nil
}
