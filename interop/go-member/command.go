// Commands: what an entry of the log that is the application's carries, as dunlin-registry encodes them with protobuf.
//
// Puts and removals of ranges are known. An entry with anything else ends the member: it could not follow the others.
package main

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// keyRange is one key, or all keys from one up to another; without an upper bound when that is empty.
type keyRange struct {
	start, end []byte
	hasEnd     bool
}

func (r *keyRange) contains(key string) bool {
	if !r.hasEnd {
		return key == string(r.start)
	}
	return key >= string(r.start) && (len(r.end) == 0 || key < string(r.end))
}

// command is what is done when its entry is applied. At most one of put and remove is there.
type command struct {
	client, sequence uint64
	put              *keyValue
	remove           *keyRange
	// request is by what the member that proposed it knows it again.
	request uint64
}

func (c *command) encode() []byte {
	var out []byte
	if c.put != nil {
		var put []byte
		put = appendBytes(put, 1, []byte(c.put.key))
		put = appendBytes(put, 2, c.put.value)
		out = appendMessage(out, 3, put)
	}
	if c.remove != nil {
		var remove []byte
		remove = appendBytes(remove, 1, c.remove.start)
		if c.remove.hasEnd {
			remove = appendMessage(remove, 2, c.remove.end)
		}
		out = appendMessage(out, 4, remove)
	}
	out = protowire.AppendTag(out, 9, protowire.Fixed64Type)
	return protowire.AppendFixed64(out, c.request)
}

func decodeCommand(data []byte) (*command, error) {
	c := &command{}
	err := eachField(data, func(f field) error {
		switch f.number {
		case 1:
			c.client = f.number64
		case 2:
			c.sequence = f.number64
		case 3:
			c.put = &keyValue{}
			return c.put.decode(f.bytes, putFields)
		case 4:
			c.remove = &keyRange{}
			return c.remove.decode(f.bytes)
		case 9:
			c.request = f.number64
		default:
			return fmt.Errorf("field %d of a command is not known here", f.number)
		}
		return nil
	})
	return c, err
}

func (r *keyRange) decode(data []byte) error {
	return eachField(data, func(f field) error {
		switch f.number {
		case 1:
			r.start = f.bytes
		case 2:
			r.end, r.hasEnd = f.bytes, true
		default:
			return fmt.Errorf("field %d of a range is not known here", f.number)
		}
		return nil
	})
}
