// Wire tap: a relay on loopback between the connector and the gate that notes every packet in both directions.
package main

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"
)

// Packet types, the first byte of each packet.
const (
	packetHandshake = 1
	packetHeartbeat = 3
	packetData      = 4
	packetKick      = 5
)

type packet struct {
	kind byte
	body []byte
}

// tap relays one connection and remembers what it said.
type tap struct {
	listener net.Listener
	// ended is closed once the gate has ended the connection.
	ended chan struct{}

	mutex    sync.Mutex
	sent     []packet
	received []packet
}

// newTap starts a relay to addr that accepts one connection.
func newTap(addr string) (*tap, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &tap{listener: listener, ended: make(chan struct{})}
	go t.run(addr)
	return t, nil
}

func (t *tap) addr() string { return t.listener.Addr().String() }

func (t *tap) run(addr string) {
	defer close(t.ended)
	client, err := t.listener.Accept()
	_ = t.listener.Close()
	if err != nil {
		return
	}
	defer client.Close()
	gate, err := net.DialTimeout("tcp", addr, stepTime)
	if err != nil {
		return
	}
	defer gate.Close()
	// The client's end is not passed on: whether the gate ends the connection by itself is what the tap is asked.
	go copyPackets(gate, client, func(p packet) { t.note(&t.sent, p) })
	copyPackets(client, gate, func(p packet) { t.note(&t.received, p) })
}

func (t *tap) note(list *[]packet, p packet) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	*list = append(*list, p)
}

// copyPackets passes whole packets on until the reader ends. A writer that is gone stops nothing.
func copyPackets(to io.Writer, from io.Reader, note func(packet)) {
	header := make([]byte, 4)
	for {
		if _, err := io.ReadFull(from, header); err != nil {
			return
		}
		length := binary.BigEndian.Uint32(header) & 0xff_ffff
		bytes := make([]byte, 4+length)
		copy(bytes, header)
		if _, err := io.ReadFull(from, bytes[4:]); err != nil {
			return
		}
		note(packet{kind: header[0], body: bytes[4:]})
		_, _ = to.Write(bytes)
	}
}

// all returns the bodies of the packets of one kind that the gate sent.
func (t *tap) all(kind byte) []packet {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return ofKind(t.received, kind)
}

// lastFlags returns the flag bytes of the last request sent and the last push received; 0xff means none was seen.
func (t *tap) lastFlags() (request, push byte) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return lastFlag(t.sent, 0), lastFlag(t.received, 3)
}

// hasEnded waits until the gate ends the connection.
func (t *tap) hasEnded(limit time.Duration) bool {
	select {
	case <-t.ended:
		return true
	case <-time.After(limit):
		return false
	}
}

func ofKind(packets []packet, kind byte) []packet {
	var found []packet
	for _, p := range packets {
		if p.kind == kind {
			found = append(found, p)
		}
	}
	return found
}

func lastFlag(packets []packet, messageType byte) byte {
	flag := byte(0xff)
	for _, p := range ofKind(packets, packetData) {
		if len(p.body) > 0 && p.body[0]>>1&7 == messageType {
			flag = p.body[0]
		}
	}
	return flag
}
