// The Go peer of the bench: an echo and a broadcast on the framework nano, WebSocket or TCP, in one process or as a gate and backends.
//
// Alone it takes any port and prints "listening ADDR" once it accepts; the nodes of a cluster are told their addresses. It ends when its
// standard input ends, so that it never outlives the bench.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/lonng/nano"
	"github.com/lonng/nano/component"
	"github.com/lonng/nano/pipeline"
	"github.com/lonng/nano/session"
)

// bodyLen is the length of every broadcast body: the sequence number, then padding.
const bodyLen = 32

// Bench is the service under load. Handlers take raw bytes, so no serializer is measured.
type Bench struct {
	component.Base
	group *nano.Group
}

// Echo answers with the payload, which is the copy that keepPayload made.
func (b *Bench) Echo(s *session.Session, payload []byte) error {
	return s.Response(payload)
}

// keepPayload gives each message bytes of its own, as handlers that keep what they get need.
func keepPayload(_ *session.Session, msg *pipeline.Message) error {
	msg.Data = append([]byte(nil), msg.Data...)
	return nil
}

// Join makes the session a member of the group that Burst sends to.
func (b *Bench) Join(s *session.Session, _ []byte) error {
	if err := b.group.Add(s); err != nil {
		return err
	}
	return s.Response([]byte("ok"))
}

// Burst broadcasts `count` messages back to back, numbered from `first`; losses are counted by the receivers.
func (b *Bench) Burst(s *session.Session, payload []byte) error {
	if len(payload) < 12 {
		return s.Response([]byte("short"))
	}
	count := binary.LittleEndian.Uint32(payload)
	first := binary.LittleEndian.Uint64(payload[4:])
	for i := uint64(0); i < uint64(count); i++ {
		body := make([]byte, bodyLen)
		binary.LittleEndian.PutUint64(body, first+i)
		_ = b.group.Broadcast("onBench", body)
	}
	return s.Response([]byte("ok"))
}

// Who answers with the id of this process.
func (b *Bench) Who(s *session.Session, _ []byte) error {
	return s.Response([]byte(strconv.Itoa(os.Getpid())))
}

// quiet drops the framework's log lines: writing them is not what is measured.
type quiet struct{}

func (quiet) Println(...interface{}) {}
func (quiet) Fatal(v ...interface{}) { fmt.Fprintln(os.Stderr, v...); os.Exit(1) }
func (quiet) Fatalf(format string, v ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", v...)
	os.Exit(1)
}

// freeAddr asks the kernel for a port; the framework itself cannot be told to and say which it got.
func freeAddr() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// announce prints the address as soon as a connection to it succeeds.
func announce(addr string) {
	for range 500 {
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			_ = conn.Close()
			fmt.Printf("listening %s\n", addr)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Fprintln(os.Stderr, "nano does not accept connections")
	os.Exit(1)
}

// place is where a process is in a cluster; all of it is empty in a process alone.
type place struct {
	service string // where other nodes reach it
	client  string // where clients reach it, if it is a gate
	master  string // where the master is, if it is not the master itself
}

// cluster are the options of a node. A gate has no service of its own, so it forwards everything.
func (p place) cluster() []nano.Option {
	options := []nano.Option{}
	if p.client != "" {
		options = append(options, nano.WithClientAddr(p.client))
	}
	if p.master != "" {
		return append(options, nano.WithAdvertiseAddr(p.master, 100*time.Millisecond))
	}
	startOnOneThread()
	return append(options, nano.WithMaster())
}

// startOnOneThread lets the framework add the master's service before the server runs: it starts the server first, and dies when another
// thread is faster.
func startOnOneThread() {
	threads := runtime.GOMAXPROCS(1)
	time.AfterFunc(300*time.Millisecond, func() { runtime.GOMAXPROCS(threads) })
}

func main() {
	transport := flag.String("transport", "ws", "ws or tcp")
	where := place{}
	flag.StringVar(&where.service, "service", "", "where other nodes reach it; empty: alone")
	flag.StringVar(&where.client, "client", "", "where clients reach it; empty: a backend")
	flag.StringVar(&where.master, "master", "", "where the master is; empty: it is the master")
	flag.Parse()

	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	inbound := pipeline.New()
	inbound.Inbound().PushBack(keepPayload)
	options := []nano.Option{
		nano.WithPipeline(inbound),
		nano.WithLogger(quiet{}),
		nano.WithIsWebsocket(*transport == "ws"),
		nano.WithCheckOriginFunc(func(*http.Request) bool { return true }),
	}
	if where.client == "" {
		components := &component.Components{}
		components.Register(&Bench{group: nano.NewGroup("bench")})
		options = append(options, nano.WithComponents(components))
	}
	if where.service != "" {
		nano.Listen(where.service, append(options, where.cluster()...)...)
		return
	}
	addr, err := freeAddr()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go announce(addr)
	nano.Listen(addr, options...)
}
