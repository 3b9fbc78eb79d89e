// The Go peer of the bench's members of a Raft group: etcd's rafthttp.Transport with a Raft that counts. It takes the arguments of
// raft-load and prints the same JSON line.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/rafthttp"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	stats "go.etcd.io/etcd/server/v3/etcdserver/api/v2stats"
	"go.uber.org/zap"
)

const (
	senderID   = 1
	receiverID = 2
	clusterID  = 0x1000
	term       = 1
)

// start makes a member that listens, and says where.
func start(id uint64, addr, dir string, r rafthttp.Raft) (*rafthttp.Transport, string, error) {
	listener, err := rafthttp.NewListener(url.URL{Scheme: "http", Host: addr}, &transport.TLSInfo{})
	if err != nil {
		return nil, "", err
	}
	self := types.ID(id)
	t := &rafthttp.Transport{
		Logger: zap.NewNop(), DialTimeout: time.Second, ID: self, ClusterID: types.ID(clusterID), Raft: r,
		Snapshotter: snap.New(zap.NewNop(), dir), ErrorC: make(chan error, 1),
		ServerStats: stats.NewServerStats("", self.String()), LeaderStats: stats.NewLeaderStats(zap.NewNop(), self.String()),
	}
	if err := t.Start(); err != nil {
		return nil, "", err
	}
	server := &http.Server{Handler: t.Handler(), ErrorLog: zap.NewStdLog(zap.NewNop())}
	go func() { _ = server.Serve(listener) }() // It ends with the process.
	return t, listener.Addr().String(), nil
}

func receive(arguments []string) error {
	flags := flag.NewFlagSet("receive", flag.ExitOnError)
	peer := flags.String("peer", "", "the URL of the sender")
	dir := flags.String("dir", "", "a folder for databases")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	counting := &counter{}
	t, addr, err := start(receiverID, "127.0.0.1:0", *dir, counting)
	if err != nil {
		return err
	}
	counting.transport.Store(t)
	t.AddPeer(types.ID(senderID), []string{*peer})
	fmt.Println("listening", addr)
	// Standard input ends with the bench.
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
	}
	return nil
}

func send(arguments []string) error {
	flags := flag.NewFlagSet("send", flag.ExitOnError)
	listen := flags.String("listen", "", "where the sender listens")
	target := flags.String("target", "", "the URL of the receiver")
	pid := flags.Int("receiver-pid", 0, "the process of the receiver")
	limit := flags.Int("limit-s", 60, "seconds after which the run is given up")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	time.AfterFunc(time.Duration(*limit)*time.Second, func() {
		fmt.Fprintln(os.Stderr, "the time is up")
		os.Exit(1)
	})
	if flags.NArg() == 0 {
		return errors.New("what to do: appends, heartbeats or snapshot")
	}
	s, err := newSender(*listen, *target, *pid)
	if err != nil {
		return err
	}
	works := map[string]func([]string) (report, error){
		"appends": s.appends, "heartbeats": s.heartbeats, "snapshot": s.snapshot,
	}
	work, ok := works[flags.Arg(0)]
	if !ok {
		return fmt.Errorf("no such work: %s", flags.Arg(0))
	}
	measured, err := work(flags.Args()[1:])
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(measured)
}

func main() {
	// One thread for each member: each has a core.
	runtime.GOMAXPROCS(1)
	err := errors.New("what to do: receive or send")
	switch {
	case len(os.Args) < 2:
	case os.Args[1] == "receive":
		err = receive(os.Args[2:])
	case os.Args[1] == "send":
		err = send(os.Args[2:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
