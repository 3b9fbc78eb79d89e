// One connection of nano's own connector, with calls that wait and a tap on its bytes.
package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	connector "github.com/lonng/nano/benchmark/io"
)

// stepTime is how long any single answer may take.
const stepTime = 3 * time.Second

type client struct {
	*tap
	connector *connector.Connector
	pushes    chan map[string]any
}

// dial connects through a tap and waits for the handshake.
func dial(addr string) (*client, error) {
	t, err := newTap(addr)
	if err != nil {
		return nil, err
	}
	c := &client{tap: t, connector: connector.NewConnector(), pushes: make(chan map[string]any, 1024)}
	ready := make(chan struct{})
	c.connector.OnConnected(func() { close(ready) })
	c.connector.On("onMessage", func(data interface{}) {
		var message map[string]any
		if json.Unmarshal(data.([]byte), &message) == nil {
			c.pushes <- message
		}
	})
	if err := c.connector.Start(t.addr()); err != nil {
		return nil, err
	}
	select {
	case <-ready:
		return c, nil
	case <-time.After(stepTime):
		return nil, fmt.Errorf("handshake: nothing within %v", stepTime)
	}
}

// start sends a request; the channel gets its answer.
func (c *client) start(route string, value any) (<-chan []byte, error) {
	answer := make(chan []byte, 1)
	err := c.connector.Request(route, body(value), func(data interface{}) {
		answer <- append([]byte(nil), data.([]byte)...)
	})
	return answer, err
}

// request sends a request and decodes its answer into reply.
func (c *client) request(route string, value, reply any) error {
	answer, err := c.start(route, value)
	if err != nil {
		return err
	}
	return await(route, answer, reply)
}

func await(route string, answer <-chan []byte, reply any) error {
	select {
	case data := <-answer:
		if err := json.Unmarshal(data, reply); err != nil {
			return fmt.Errorf("%s answered %q: %w", route, data, err)
		}
		return nil
	case <-time.After(stepTime):
		return fmt.Errorf("%s: nothing within %v", route, stepTime)
	}
}

func (c *client) notify(route string, value any) error {
	return c.connector.Notify(route, body(value))
}

func (c *client) join(name string) error {
	var reply struct {
		Members int `json:"members"`
	}
	if err := c.request("Room.Join", map[string]any{"name": name}, &reply); err != nil {
		return err
	}
	if reply.Members < 1 {
		return fmt.Errorf("Room.Join answered %d members", reply.Members)
	}
	return nil
}

// echo sends text around and compares.
func (c *client) echo(text string) error {
	var reply struct {
		Text string `json:"text"`
	}
	if err := c.request("Room.Echo", map[string]any{"text": text}, &reply); err != nil {
		return err
	}
	if reply.Text != text {
		return fmt.Errorf("echo of %q came back as %q", text, reply.Text)
	}
	return nil
}

// expect waits for pushes with exactly these texts in this order, among pushes with another beginning.
func (c *client) expect(prefix string, texts ...string) error {
	limit := time.After(stepTime)
	for _, want := range texts {
		for {
			var message map[string]any
			select {
			case message = <-c.pushes:
			case <-limit:
				return fmt.Errorf("push %q: nothing within %v", want, stepTime)
			}
			got, _ := message["text"].(string)
			if !strings.HasPrefix(got, prefix) {
				continue
			}
			if got != want {
				return fmt.Errorf("push: expected %q, got %q", want, got)
			}
			break
		}
	}
	return nil
}
