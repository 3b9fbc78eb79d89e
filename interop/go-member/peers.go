// The other members, over etcd's own rafthttp.
package main

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/rafthttp"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	stats "go.etcd.io/etcd/server/v3/etcdserver/api/v2stats"
)

// dialTime is how long a dial over loopback may take.
const dialTime = time.Second

type peers struct {
	transport *rafthttp.Transport
	self      uint64
	critical  chan error
	mutex     sync.Mutex
	// known are the URLs that the transport was told.
	known map[uint64][]string
}

func startPeers(f *flags, n *node, known []member) (*peers, error) {
	own, err := url.Parse(f.url())
	if err != nil {
		return nil, err
	}
	listener, err := rafthttp.NewListener(*own, &transport.TLSInfo{})
	if err != nil {
		return nil, err
	}
	urls, err := types.NewURLs([]string{f.url()})
	if err != nil {
		return nil, err
	}
	id := types.ID(f.id)
	p := &peers{self: f.id, critical: make(chan error, 1), known: map[uint64][]string{}}
	p.transport = &rafthttp.Transport{
		Logger: warnings(), DialTimeout: dialTime, ID: id, URLs: urls, ClusterID: types.ID(f.clusterID),
		Raft: n, Snapshotter: snap.New(zap.NewNop(), snapshotDir(f.dir)), ErrorC: p.critical,
		ServerStats: stats.NewServerStats("", id.String()), LeaderStats: stats.NewLeaderStats(zap.NewNop(), id.String()),
	}
	if err := p.transport.Start(); err != nil {
		return nil, err
	}
	for _, m := range known {
		p.add(m.id, m.urls)
	}
	server := &http.Server{Handler: p.transport.Handler(), ErrorLog: log.New(io.Discard, "", 0)}
	go func() { log.Fatalf("peers are not served any more: %v", server.Serve(listener)) }()
	return p, nil
}

// warnings is a logger of what etcd warns of.
func warnings() *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), zapcore.WarnLevel))
}

func (p *peers) add(id uint64, urls []string) {
	if id == p.self || len(urls) == 0 {
		return
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	before, isKnown := p.known[id]
	switch {
	case !isKnown:
		p.transport.AddPeer(types.ID(id), urls)
	case !slices.Equal(before, urls):
		p.transport.UpdatePeer(types.ID(id), urls)
	}
	p.known[id] = urls
}

// follow makes the members of the store the peers.
func (p *peers) follow(members *members) {
	for _, m := range members.sorted() {
		p.add(m.id, m.urls)
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for id := range members.removed {
		if _, isKnown := p.known[id]; isKnown {
			p.transport.RemovePeer(types.ID(id))
			delete(p.known, id)
		}
	}
}

func (p *peers) send(messages []raftMessage) { p.transport.Send(messages) }

func (p *peers) sendSnapshot(message raftMessage, image []byte) {
	merged := snap.NewMessage(message, io.NopCloser(bytes.NewReader(image)), int64(len(image)))
	p.transport.SendSnapshot(*merged)
}
