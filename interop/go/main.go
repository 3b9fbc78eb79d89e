// Drives nano's own Go connector through the claims against one gate; prints one JSON line for each.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/lonng/nano"
)

// runTime is how long all claims together may take.
const runTime = 25 * time.Second

type line struct {
	Client string `json:"client"`
	Claim  string `json:"claim"`
	Ok     bool   `json:"ok"`
	Detail string `json:"detail"`
}

func main() {
	host := flag.String("host", "127.0.0.1", "host of the gate")
	port := flag.Int("port", 0, "TCP port of the gate")
	dict := flag.Bool("dict", false, "the gate has the route dictionary")
	kicked := flag.Bool("kicked", false, "be the child that is kicked")
	addr := flag.String("addr", "", "address for the child")
	flag.Parse()
	log.SetOutput(io.Discard) // The connector logs each end of a connection.

	if *kicked {
		if err := beKicked(*addr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if *dict {
		// The connector knows no dictionary but the one its process was given beforehand.
		nano.WithDictionary(routes)(nil)
	}
	time.AfterFunc(runTime, func() {
		fmt.Fprintln(os.Stderr, "the claims took too long")
		os.Exit(1)
	})
	r := &run{
		addr: net.JoinHostPort(*host, strconv.Itoa(*port)), isDict: *dict,
		tag: fmt.Sprintf("nano-connector-%d", os.Getpid()),
	}
	if !r.all() {
		os.Exit(1)
	}
}

// all runs the claims in order and says whether every one held.
func (r *run) all() bool {
	claims := []struct {
		name string
		hold func() (string, error)
	}{
		{"handshake", r.handshake}, {"request", r.request}, {"notify", r.notify}, {"push", r.push}, {"text", r.text},
		{"error", r.error}, {"dictionary", r.dictionary}, {"heartbeat", r.heartbeat}, {"kick", r.kick},
		{"reconnect", r.reconnect},
	}
	allHold := true
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for _, claim := range claims {
		detail, err := guarded(claim.hold)
		if err != nil {
			detail, allHold = err.Error(), false
		}
		_ = out.Encode(line{Client: "nano-go-connector", Claim: claim.name, Ok: err == nil, Detail: detail})
	}
	return allHold
}

// guarded turns a panic of a claim into its failure: after a failed handshake the later claims have no connection.
func guarded(hold func() (string, error)) (detail string, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v", fault)
		}
	}()
	return hold()
}
