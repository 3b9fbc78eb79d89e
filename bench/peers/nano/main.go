// The Go peer of the bench: an echo and a broadcast on the framework nano, one process, WebSocket or TCP.
//
// Prints "listening ADDR" once it accepts, and ends when its standard input ends, so that it never outlives the bench.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
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

func main() {
	transport := flag.String("transport", "ws", "ws or tcp")
	flag.Parse()

	addr, err := freeAddr()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	go announce(addr)

	components := &component.Components{}
	components.Register(&Bench{group: nano.NewGroup("bench")})
	inbound := pipeline.New()
	inbound.Inbound().PushBack(keepPayload)
	options := []nano.Option{
		nano.WithPipeline(inbound),
		nano.WithComponents(components),
		nano.WithLogger(quiet{}),
		nano.WithIsWebsocket(*transport == "ws"),
		nano.WithCheckOriginFunc(func(*http.Request) bool { return true }),
	}
	nano.Listen(addr, options...)
}
