package outbound

import (
	"context"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"threadline/engine/internal/incoming"
)

// TimerOf gives a chat's timer for disappearing messages.
type TimerOf func(ctx context.Context, chat types.JID) (incoming.Timer, error)

// content is what a request says, under the chat's timer. WhatsApp's apps show a message that lacks the timer as one that stays.
func content(request Request, timer incoming.Timer) *waE2E.Message {
	if timer.Seconds == 0 {
		return &waE2E.Message{Conversation: proto.String(request.Text)}
	}
	return &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
		Text: proto.String(request.Text),
		ContextInfo: &waE2E.ContextInfo{
			Expiration:                proto.Uint32(timer.Seconds),
			EphemeralSettingTimestamp: proto.Int64(timer.SetAtUnixS),
		},
	}}
}
