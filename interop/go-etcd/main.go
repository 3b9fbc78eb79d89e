// One member of a cluster for the interop run: etcd's own rafthttp.Transport with a Raft that only writes down what it is told.
//
// It is controlled by one JSON object a line on its standard input and says one JSON object a line on its standard output.
// The lines are described in interop/README.md; the member of dunlin's that it is set against takes the same ones.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// lineLenMax is how long one command may be: a thousand messages are one.
const lineLenMax = 256 << 20

// command is one line that comes in. Which fields it needs depends on what is to be done.
type command struct {
	Do                string    `json:"do"`
	ID                uint64    `json:"id"`
	Cluster           uint64    `json:"cluster"`
	Addr              string    `json:"addr"`
	URL               string    `json:"url"`
	Dir               string    `json:"dir"`
	Version           string    `json:"version"`
	MinClusterVersion string    `json:"min_cluster_version"`
	Messages          []message `json:"messages"`
	Database          string    `json:"database"`
	DatabaseLen       *int64    `json:"database_len"`
}

// teller writes events, one a line, from any goroutine.
type teller struct {
	mutex sync.Mutex
	out   *json.Encoder
}

func (t *teller) tell(event string, fields map[string]any) {
	line := map[string]any{"event": event}
	for name, value := range fields {
		line[name] = value
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if err := t.out.Encode(line); err != nil {
		os.Exit(1) // Nobody listens any more.
	}
}

func main() {
	t := &teller{out: json.NewEncoder(os.Stdout)}
	m := &member{teller: t}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineLenMax)
	for lines.Scan() {
		var c command
		err := json.Unmarshal(lines.Bytes(), &c)
		if err == nil {
			err = m.do(&c)
		}
		if err != nil {
			t.tell("failed", map[string]any{"why": err.Error()})
			continue
		}
		t.tell("done", nil)
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
