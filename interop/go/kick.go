// The claims that end a connection. The connector ends its process with its connection, thus a child holds it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// kick lets a child be kicked, and looks at the bytes that pass.
func (r *run) kick() (string, error) {
	t, err := newTap(r.addr)
	if err != nil {
		return "", err
	}
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	deadline, cancel := context.WithTimeout(context.Background(), 2*stepTime)
	defer cancel()
	child := exec.CommandContext(deadline, program, "-kicked", "-addr", t.addr())
	if err := child.Start(); err != nil {
		return "", err
	}
	ended := t.hasEnded(2 * stepTime)
	_ = child.Wait() // How the child ended is the connector's business; that it ended in time is looked at below.
	kicks := t.all(packetKick)
	switch {
	case deadline.Err() != nil:
		return "", fmt.Errorf("the connector did not end after a kick")
	case len(kicks) != 1 || string(kicks[0].body) != `{"reason":"asked"}`:
		return "", fmt.Errorf("kick packets: %q", kicks)
	case !ended:
		return "", fmt.Errorf("the gate kept the connection open after a kick")
	}
	return `reason "asked", connector ended`, r.first.echo("neighbour")
}

// reconnect connects anew after the kick.
func (r *run) reconnect() (string, error) {
	again, err := dial(r.addr)
	if err != nil {
		return "", err
	}
	if err := again.join("again"); err != nil {
		return "", err
	}
	return "a fresh connection works", again.echo("again")
}

// beKicked is the child: it asks to be kicked and waits for the connector to end.
func beKicked(addr string) error {
	c := &client{}
	var err error
	if c, err = dial(addr); err != nil {
		return err
	}
	if err := c.join("kicked"); err != nil {
		return err
	}
	if err := c.notify("Room.KickMe", struct{}{}); err != nil {
		return err
	}
	if !c.hasEnded(stepTime) {
		return fmt.Errorf("not kicked within %v", stepTime)
	}
	// The connector learns of the end a moment after the relay does.
	time.Sleep(100 * time.Millisecond)
	return nil
}
