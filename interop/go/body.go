// JSON bodies for a connector that takes protobuf messages: each is a message that encodes as its own bytes.
package main

import "encoding/json"

// jsonBody is a payload that is already encoded. The connector asks a message to marshal itself and sends what it gets.
type jsonBody []byte

func (b jsonBody) Reset()                   {}
func (b jsonBody) String() string           { return string(b) }
func (b jsonBody) ProtoMessage()            {}
func (b jsonBody) Marshal() ([]byte, error) { return b, nil }

func body(value any) jsonBody {
	bytes, err := json.Marshal(value)
	if err != nil {
		panic(err) // Only literals of this program are encoded.
	}
	return bytes
}
