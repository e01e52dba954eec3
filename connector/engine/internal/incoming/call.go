package incoming

import (
	"context"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"threadline/engine/contract"
	"threadline/engine/internal/identity"
)

// Call gives the event of a call that comes in: one message under the call's own id. A call to a group shows in the group's chat.
func Call(ctx context.Context, learnt store.LIDStore, nameOf GroupName, call types.BasicCallMeta, wire []byte) *contract.Event {
	caller := identity.Of(ctx, learnt, call.From, call.CallCreatorAlt)
	received := &contract.MessageReceived{
		WhatsappId:   valid(call.CallID),
		ChatJid:      valid(caller.ChatJID()),
		ChatOtherJid: valid(caller.OtherJID()),
		TimestampS:   call.Timestamp.Unix(),
	}
	if group := call.GroupJID.ToNonAD(); group.Server == types.GroupServer {
		received.Sender = &contract.Person{Jid: received.GetChatJid(), OtherJid: received.GetChatOtherJid()}
		received.ChatJid, received.ChatOtherJid, received.ChatName = valid(group.String()), "", valid(nameOf(group))
	}
	putNote(received, kindCall, "", "")
	return &contract.Event{Kind: &contract.Event_Message{Message: received}, Wire: wire}
}
