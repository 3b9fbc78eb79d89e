// A node of a nano cluster for tests: a gate, a backend, or both; what happens to it is a JSON line each.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"os"
	"sync"
	"time"

	"github.com/lonng/nano"
	"github.com/lonng/nano/component"
	"github.com/lonng/nano/session"
)

func main() {
	listen := flag.String("listen", "", "where other nodes reach this one")
	label := flag.String("label", "node", "what people call it")
	master := flag.String("master", "", "address of the master; none: this node is the master")
	client := flag.String("client", "", "where clients connect, over TCP; none: this node is no gate")
	service := flag.String("service", "", "name of the service of this node; none: it has none")
	heartbeat := flag.Duration("heartbeat", 30*time.Second, "nano's interval")
	flag.Parse()
	log.SetFlags(log.Lmicroseconds)
	if *listen == "" {
		log.Fatal("-listen is missing")
	}
	// Nobody reads the output of a node whose judge is gone, and its input ends then.
	go func() {
		var buffer [64]byte
		for {
			if _, err := os.Stdin.Read(buffer[:]); err != nil {
				os.Exit(0)
			}
		}
	}()
	session.Lifetime.OnClosed(func(s *session.Session) { tell(event{Event: "closed", Name: s.String("name")}) })

	components := &component.Components{}
	if *service != "" {
		components.Register(&Service{}, component.WithName(*service))
	}
	options := []nano.Option{
		nano.WithComponents(components),
		nano.WithLabel(*label),
		nano.WithHeartbeatInterval(*heartbeat),
	}
	if *master == "" {
		options = append(options, nano.WithMaster())
	} else {
		options = append(options, nano.WithAdvertiseAddr(*master, 200*time.Millisecond))
	}
	if *client != "" {
		options = append(options, nano.WithClientAddr(*client))
	}
	nano.Listen(*listen, options...)
}

// event is something that has happened.
type event struct {
	Event string `json:"event"`
	// Name is what the session was named.
	Name string `json:"name"`
	Body string `json:"body,omitempty"`
}

var lines sync.Mutex

func tell(e event) {
	lines.Lock()
	defer lines.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(e); err != nil {
		log.Fatal(err)
	}
}

// Service is what backends have. All of its methods take bytes as they are.
type Service struct{ component.Base }

// AfterInit is called when the node is a member.
func (*Service) AfterInit() { tell(event{Event: "ready"}) }

// Name names the session.
func (*Service) Name(s *session.Session, body []byte) error {
	s.Set("name", string(body))
	return s.Response(body)
}

// Echo answers with what it got.
func (*Service) Echo(s *session.Session, body []byte) error { return s.Response(body) }

// Never does not answer.
func (*Service) Never(s *session.Session, _ []byte) error { return nil }

// Say tells what it got, and pushes it back.
func (*Service) Say(s *session.Session, body []byte) error {
	tell(event{Event: "said", Name: s.String("name"), Body: string(body)})
	return s.Push("onSay", body)
}

// Bye closes the session.
func (*Service) Bye(s *session.Session, _ []byte) error {
	s.Close()
	return nil
}

// Forward calls the route that it got in the name of the session.
func (*Service) Forward(s *session.Session, body []byte) error { return s.RPC(string(body), []byte("forwarded")) }
