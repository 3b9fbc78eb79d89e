// Fields of protobuf messages, by hand: generated code would say no more than this.
package main

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a message: a number or bytes.
type field struct {
	number   protowire.Number
	number64 uint64
	bytes    []byte
}

// eachField gives every field of a message in turn.
func eachField(data []byte, take func(field) error) error {
	for len(data) > 0 {
		number, kind, tagLen := protowire.ConsumeTag(data)
		if tagLen < 0 {
			return fmt.Errorf("a tag cannot be read: %w", protowire.ParseError(tagLen))
		}
		data = data[tagLen:]
		f, fieldLen := field{number: number}, 0
		switch kind {
		case protowire.VarintType:
			f.number64, fieldLen = protowire.ConsumeVarint(data)
		case protowire.Fixed64Type:
			f.number64, fieldLen = protowire.ConsumeFixed64(data)
		case protowire.Fixed32Type:
			var short uint32
			short, fieldLen = protowire.ConsumeFixed32(data)
			f.number64 = uint64(short)
		case protowire.BytesType:
			f.bytes, fieldLen = protowire.ConsumeBytes(data)
		default:
			return fmt.Errorf("field %d is of type %d, which nothing here is of", number, kind)
		}
		if fieldLen < 0 {
			return fmt.Errorf("field %d cannot be read: %w", number, protowire.ParseError(fieldLen))
		}
		data = data[fieldLen:]
		if err := take(f); err != nil {
			return err
		}
	}
	return nil
}

// appendNumber writes a number unless it is 0, which is how 0 is written.
func appendNumber(out []byte, number protowire.Number, value uint64) []byte {
	if value == 0 {
		return out
	}
	return appendChoice(out, number, value)
}

// appendChoice writes a number whatever it is: one of several fields that says which it is by being there.
func appendChoice(out []byte, number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(out, number, protowire.VarintType), value)
}

// appendBytes writes bytes unless there are none.
func appendBytes(out []byte, number protowire.Number, bytes []byte) []byte {
	if len(bytes) == 0 {
		return out
	}
	return appendMessage(out, number, bytes)
}

// appendMessage writes bytes, also when there are none.
func appendMessage(out []byte, number protowire.Number, bytes []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), bytes)
}

func appendFlag(out []byte, number protowire.Number, flag bool) []byte {
	return appendNumber(out, number, protowire.EncodeBool(flag))
}
