package incoming

import (
	"context"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"threadline/engine/contract"
	"threadline/engine/internal/identity"
)

const callKind = "call"

// Call gives the event of a call that comes in: one message without text, under the call's own id.
func Call(ctx context.Context, learnt store.LIDStore, call types.BasicCallMeta, wire []byte) *contract.Event {
	names := identity.Of(ctx, learnt, call.From, call.CallCreatorAlt)
	received := &contract.MessageReceived{
		WhatsappId:   valid(call.CallID),
		ChatJid:      valid(names.ChatJID()),
		ChatOtherJid: valid(names.OtherJID()),
		TimestampS:   call.Timestamp.Unix(),
		Content:      &contract.MessageReceived_Unsupported{Unsupported: callKind},
	}
	return &contract.Event{Kind: &contract.Event_Message{Message: received}, Wire: wire}
}
