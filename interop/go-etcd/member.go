// The member: its transport, its socket, and what each command does to them.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/rafthttp"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	stats "go.etcd.io/etcd/server/v3/etcdserver/api/v2stats"
)

// dialTime is how long a dial over loopback may take.
const dialTime = time.Second

type member struct {
	*teller
	transport *rafthttp.Transport
	server    *http.Server
	raft      *recorder
}

func (m *member) do(c *command) error {
	if c.Do == "start" {
		return m.start(c)
	}
	if m.transport == nil {
		return fmt.Errorf("%q before start", c.Do)
	}
	switch c.Do {
	case "peer":
		m.transport.AddPeer(types.ID(c.ID), []string{c.URL})
	case "remove":
		m.transport.RemovePeer(types.ID(c.ID))
	case "removed":
		m.raft.remove(c.ID)
	case "send":
		messages := make([]raftMessage, len(c.Messages))
		for n := range c.Messages {
			var err error
			if messages[n], err = c.Messages[n].raft(); err != nil {
				return err
			}
		}
		m.transport.Send(messages)
	case "snapshot":
		return m.snapshot(c)
	case "stop":
		m.transport.Stop()
		return m.server.Close()
	default:
		return fmt.Errorf("cannot %q", c.Do)
	}
	return nil
}

func (m *member) start(c *command) error {
	if c.Version != "" {
		version.Version = c.Version
	}
	if c.MinClusterVersion != "" {
		version.MinClusterVersion = c.MinClusterVersion
	}
	listener, err := rafthttp.NewListener(url.URL{Scheme: "http", Host: c.Addr}, &transport.TLSInfo{})
	if err != nil {
		return err
	}
	urls, err := types.NewURLs([]string{c.URL})
	if err != nil {
		return err
	}
	m.raft = &recorder{teller: m.teller, removed: map[uint64]bool{}}
	// A word that nobody has taken yet must not be lost.
	critical := make(chan error, 1)
	id := types.ID(c.ID)
	m.transport = &rafthttp.Transport{
		Logger: m.logger(), DialTimeout: dialTime, ID: id, URLs: urls, ClusterID: types.ID(c.Cluster),
		Raft: m.raft, Snapshotter: snap.New(zap.NewNop(), c.Dir), ErrorC: critical,
		ServerStats: stats.NewServerStats("", id.String()), LeaderStats: stats.NewLeaderStats(zap.NewNop(), id.String()),
	}
	if err := m.transport.Start(); err != nil {
		return err
	}
	go func() {
		for err := range critical {
			m.tell("critical", map[string]any{"why": err.Error()})
		}
	}()
	m.server = &http.Server{Handler: m.transport.Handler(), ErrorLog: zap.NewStdLog(zap.NewNop())}
	go func() { _ = m.server.Serve(listener) }() // It ends when it is closed.
	m.tell("started", map[string]any{"addr": listener.Addr().String(), "version": version.Version})
	return nil
}

// logger tells what etcd warns of.
func (m *member) logger() *zap.Logger {
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	core := zapcore.NewCore(encoder, zapcore.AddSync(io.Discard), zapcore.WarnLevel)
	return zap.New(core, zap.Hooks(func(entry zapcore.Entry) error {
		m.tell("warning", map[string]any{"text": entry.Message})
		return nil
	}))
}

// snapshot sends the message with the database behind it, and tells later what became of it.
func (m *member) snapshot(c *command) error {
	if len(c.Messages) != 1 {
		return fmt.Errorf("a snapshot is one message, not %d", len(c.Messages))
	}
	sent, err := c.Messages[0].raft()
	if err != nil {
		return err
	}
	database, err := os.Open(c.Database)
	if err != nil {
		return err
	}
	about, err := database.Stat()
	if err != nil {
		return err
	}
	announced := about.Size()
	if c.DatabaseLen != nil {
		announced = *c.DatabaseLen
	}
	// The transport closes what it reads more than once, and to a file the second time is a failure.
	merged := snap.NewMessage(sent, io.NopCloser(database), announced)
	m.transport.SendSnapshot(*merged)
	go func() {
		arrived := <-merged.CloseNotify()
		_ = database.Close() // It was only read.
		m.tell("database", map[string]any{"arrived": arrived})
	}()
	return nil
}

// recorder is a Raft that takes everything and tells it.
type recorder struct {
	*teller
	mutex   sync.Mutex
	removed map[uint64]bool
}

func (r *recorder) Process(_ context.Context, m raftMessage) error {
	r.tell("message", map[string]any{"message": messageOf(&m)})
	return nil
}

func (r *recorder) IsIDRemoved(id uint64) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.removed[id]
}

func (r *recorder) remove(id uint64) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.removed[id] = true
}

func (r *recorder) ReportUnreachable(id uint64) {
	r.tell("unreachable", map[string]any{"id": id})
}

func (r *recorder) ReportSnapshot(id uint64, status snapshotStatus) {
	r.tell("snapshot", map[string]any{"id": id, "finished": status == snapshotFinish})
}
