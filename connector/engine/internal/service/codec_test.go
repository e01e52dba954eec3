package service

import (
	"testing"

	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/proto"

	"threadline/engine/contract"
)

func TestALongMessageTakesNoMoreMemoryThanItIsLong(t *testing.T) {
	codec := exact{encoding.GetCodecV2("proto")}
	event := &contract.Event{Sequence: 7, Wire: make([]byte, 100_000)}
	encoded, err := codec.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, buffer := range encoded {
		held += cap(buffer.ReadOnlyData())
	}
	if held > 128<<10 {
		t.Errorf("a message of 100,000 bytes holds %d", held)
	}
	read := &contract.Event{}
	if err := codec.Unmarshal(encoded, read); err != nil || !proto.Equal(read, event) {
		t.Errorf("read %v, %v", read.GetSequence(), err)
	}
}
