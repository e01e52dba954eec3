package incoming

import (
	"context"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"threadline/engine/contract"
)

// isolatedKind is the kind of a message that this program fails to handle.
const isolatedKind = "isolated"

// Isolated gives the event of a message that is not read, since its handling fails; nil for one that would not be shown.
func Isolated(ctx context.Context, learnt store.LIDStore, nameOf GroupName, info *types.MessageInfo) *contract.Event {
	if !isShown(info.MessageSource) || info.Category == "peer" {
		return nil
	}
	received := receivedFrom(ctx, learnt, nameOf, info)
	received.Content = &contract.MessageReceived_Unsupported{Unsupported: isolatedKind}
	return &contract.Event{Kind: &contract.Event_Message{Message: received}}
}
