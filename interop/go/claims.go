// The claims the connector is held to, each a method of one run that returns a detail for the reader or an error.
package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// interval is how often the server under test beats.
const interval = time.Second

const birds = "渡り鳥 浜鷸 나그네 naïve \U0001F426\U0001F600"

var routes = map[string]uint16{"Room.Echo": 1, "Room.Message": 2, "onMessage": 7}

// run is one pass over all claims against one address.
type run struct {
	addr          string
	isDict        bool
	tag           string
	first, second *client
}

func (r *run) handshake() (string, error) {
	var err error
	if r.first, err = dial(r.addr); err != nil {
		return "", err
	}
	text := r.handshakeText()
	var reply struct{ Code int }
	if err := json.Unmarshal([]byte(text), &reply); err != nil || reply.Code != 200 {
		return "", fmt.Errorf("handshake response %s: %v", text, err)
	}
	if !strings.Contains(text, `"heartbeat":1,`) && !strings.Contains(text, `"heartbeat":1}`) {
		return "", fmt.Errorf("heartbeat is not the integer 1 in %s", text)
	}
	return text, r.first.join("first")
}

func (r *run) handshakeText() string {
	replies := r.first.all(packetHandshake)
	if len(replies) == 0 {
		return ""
	}
	return string(replies[0].body)
}

func (r *run) request() (string, error) {
	for _, text := range []string{"", "one", strings.Repeat("x", 20_000)} {
		if err := r.first.echo(text); err != nil {
			return "", err
		}
	}
	// Over 127 ids, so that the id takes two bytes, in two batches that are each in flight at once.
	for range 2 {
		answers := make([]<-chan []byte, 60)
		for n := range answers {
			var err error
			if answers[n], err = r.first.start("Room.Echo", map[string]any{"n": n}); err != nil {
				return "", err
			}
		}
		for n, answer := range answers {
			var reply struct{ N int }
			if err := await("Room.Echo", answer, &reply); err != nil {
				return "", err
			}
			if reply.N != n {
				return "", fmt.Errorf("request %d was answered with %d", n, reply.N)
			}
		}
	}
	return "123 replies", nil
}

func (r *run) notify() (string, error) {
	text := r.tag + " notify"
	if err := r.first.notify("Room.Message", map[string]any{"text": text}); err != nil {
		return "", err
	}
	return "came back as a push", r.first.expect(text, text)
}

func (r *run) push() (string, error) {
	var err error
	if r.second, err = dial(r.addr); err != nil {
		return "", err
	}
	if err := r.second.join("second"); err != nil {
		return "", err
	}
	prefix := r.tag + " push"
	texts := make([]string, 20)
	for n := range texts {
		texts[n] = fmt.Sprintf("%s %d", prefix, n)
		if err := r.first.notify("Room.Message", map[string]any{"text": texts[n]}); err != nil {
			return "", err
		}
	}
	return "20 in order", r.second.expect(prefix, texts...)
}

func (r *run) text() (string, error) {
	text := r.tag + " text " + birds
	if err := r.first.echo(text); err != nil {
		return "", err
	}
	if err := r.first.notify("Room.Message", map[string]any{"text": text}); err != nil {
		return "", err
	}
	return birds, r.second.expect(r.tag+" text", text)
}

func (r *run) error() (string, error) {
	var reply struct{ Code int }
	if err := r.first.request("Room.Fail", struct{}{}, &reply); err != nil {
		return "", err
	}
	if reply.Code != 418 {
		return "", fmt.Errorf("error code %d", reply.Code)
	}
	return "code 418", nil
}

func (r *run) dictionary() (string, error) {
	text := r.tag + " dictionary"
	if err := r.first.echo(text); err != nil {
		return "", err
	}
	if err := r.first.notify("Room.Message", map[string]any{"text": text}); err != nil {
		return "", err
	}
	if err := r.first.expect(text, text); err != nil {
		return "", err
	}
	var reply struct {
		Sys struct{ Dict map[string]uint16 }
	}
	if err := json.Unmarshal([]byte(r.handshakeText()), &reply); err != nil {
		return "", err
	}
	request, push := r.first.lastFlags()
	wantRequest, wantPush, detail := byte(0x00), byte(0x06), "plain routes both ways"
	if r.isDict {
		wantRequest, wantPush, detail = 0x01, 0x07, "codes both ways"
		for route, code := range routes {
			if reply.Sys.Dict[route] != code {
				return "", fmt.Errorf("code of %s in the handshake is %d", route, reply.Sys.Dict[route])
			}
		}
	}
	if request != wantRequest || push != wantPush {
		return "", fmt.Errorf("flags of request and push are %#x and %#x", request, push)
	}
	return detail, nil
}

// heartbeat holds two connections: the connector never sends a heartbeat, thus one lives by its traffic alone, and the
// other says nothing and must be ended after two intervals and before four.
func (r *run) heartbeat() (string, error) {
	silent, err := dial(r.addr)
	if err != nil {
		return "", err
	}
	start, before := time.Now(), len(r.first.all(packetHeartbeat))
	for time.Since(start) < 36*interval/10 {
		if err := r.first.notify("Room.Message", map[string]any{"text": r.tag + " alive"}); err != nil {
			return "", err
		}
		time.Sleep(interval / 2)
	}
	came := len(r.first.all(packetHeartbeat)) - before
	if came < 3 {
		return "", fmt.Errorf("%d heartbeats came in 3.6 intervals", came)
	}
	if err := r.first.echo("alive"); err != nil {
		return "", err
	}
	if !silent.hasEnded(interval) {
		return "", fmt.Errorf("a silent connection is open after %v", time.Since(start))
	}
	return fmt.Sprintf("%d in, alive by traffic; a silent connection was ended", came), nil
}
