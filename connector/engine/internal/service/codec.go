package service

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// Codec has the server encode a message into as many bytes as it needs. gRPC's own codec takes its buffers from a pool that has none between
// 32 KiB and 1 MiB: each stream that waits with a long message would hold 1 MiB, 500 MiB with 500 accounts.
func Codec() grpc.ServerOption {
	return grpc.ForceServerCodecV2(exact{encoding.GetCodecV2(grpcproto.Name)})
}

type exact struct{ encoding.CodecV2 }

func (exact) Marshal(value any) (mem.BufferSlice, error) {
	message, ok := value.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("a %T is no message", value)
	}
	encoded, err := proto.Marshal(message)
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{mem.SliceBuffer(encoded)}, nil
}
