// A member of a group of dunlin-registry that is made of etcd's parts: its Raft core and its transport, around a store that follows
// the same commands. It takes the flags of the example raftkv and serves the same routes.
//
//   - command.go, wire.go, store.go, members.go, image.go: what entries mean, and what a snapshot's database is.
//   - disk.go: the log.
//   - node.go: Raft between all of them. Start here.
//   - requests.go, waiting.go: what is asked of it, and who waits for what.
//   - peers.go, http.go: the other members, and the judge.
//   - raft.go: where this version of etcd has Raft. All other files are links to one text.
package main

import (
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

type flags struct {
	cluster                       []string
	id, clusterID                 uint64
	port                          uint
	join                          bool
	dir                           string
	snapshotEntries, snapshotTail uint64
}

// members are those of the command line: the ids are the places in the list, from 1 on.
func (f *flags) members() []member {
	var out []member
	for place, url := range f.cluster {
		out = append(out, member{id: uint64(place + 1), urls: []string{url}})
	}
	return out
}

func (f *flags) url() string { return f.cluster[f.id-1] }

func parseFlags() *flags {
	f := &flags{}
	cluster := flag.String("cluster", "http://127.0.0.1:9021", "URLs of all members, in the order of their ids")
	flag.Uint64Var(&f.id, "id", 1, "the id of this member: its place in the list, from 1 on")
	flag.UintVar(&f.port, "port", 9121, "the port of the key-value store, on the loopback")
	flag.BoolVar(&f.join, "join", false, "joins a group that runs and has added this member")
	flag.Uint64Var(&f.clusterID, "cluster-id", 0x1000, "the id of the group")
	flag.StringVar(&f.dir, "dir", "", "where the log and the snapshots are")
	flag.Uint64Var(&f.snapshotEntries, "snapshot-entries", 50_000, "a snapshot is taken after so many entries")
	flag.Uint64Var(&f.snapshotTail, "snapshot-tail", 5_000, "the log keeps so many entries before a snapshot")
	flag.Parse()
	f.cluster = strings.Split(*cluster, ",")
	if f.id == 0 || f.id > uint64(len(f.cluster)) || f.dir == "" {
		log.Fatalf("--id %d is no place in --cluster with %d URLs, or --dir is missing", f.id, len(f.cluster))
	}
	return f
}

func main() {
	f := parseFlags()
	log.SetOutput(os.Stderr)
	log.SetFlags(log.LstdFlags | log.Lmicroseconds)
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.FormatUint(uint64(f.port), 10)))
	if err != nil {
		log.Fatal(err)
	}
	n, err := startNode(f)
	if err != nil {
		log.Fatalf("the member cannot start: %v", err)
	}
	go func() { log.Fatalf("the store is not served any more: %v", http.Serve(listener, n)) }()
	log.Fatalf("the member stops: %v", n.run())
}
