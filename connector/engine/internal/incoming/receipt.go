package incoming

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"threadline/engine/contract"
	"threadline/engine/internal/identity"
)

// Receipt gives the event of a contact's receipt, or nil for one that says nothing about a message's way to a person: from the account's
// own devices, about a message that could not be decrypted (whatsmeow sends that again by itself), and from a member of a group (the
// contract cannot say which member).
func Receipt(ctx context.Context, learnt store.LIDStore, receipt *events.Receipt, wire []byte) *contract.Event {
	kind := receiptType(receipt.Type)
	if kind == contract.ReceiptReceived_TYPE_UNSPECIFIED || receipt.IsFromMe || receipt.IsGroup || len(receipt.MessageIDs) == 0 {
		return nil
	}
	ids := make([]string, len(receipt.MessageIDs))
	for place, id := range receipt.MessageIDs {
		ids[place] = valid(id)
	}
	names := identity.Of(ctx, learnt, receipt.Chat, receipt.SenderAlt)
	return receiptEvent(names, ids, kind, receipt.Timestamp, wire)
}

// Acknowledged gives the event of an ack that came after its send had ended.
func Acknowledged(names identity.Names, id string, at time.Time, wire []byte) *contract.Event {
	return receiptEvent(names, []string{id}, contract.ReceiptReceived_SENT, at, wire)
}

func receiptEvent(names identity.Names, ids []string, kind contract.ReceiptReceived_Type, at time.Time, wire []byte) *contract.Event {
	received := &contract.ReceiptReceived{
		WhatsappIds:  ids,
		ChatJid:      valid(names.ChatJID()),
		ChatOtherJid: valid(names.OtherJID()),
		Type:         kind,
		TimestampS:   at.Unix(),
	}
	return &contract.Event{Kind: &contract.Event_Receipt{Receipt: received}, Wire: wire}
}

func receiptType(of types.ReceiptType) contract.ReceiptReceived_Type {
	switch of {
	case types.ReceiptTypeDelivered, types.ReceiptTypeInactive: // inactive: delivered to a device that nobody looks at
		return contract.ReceiptReceived_DELIVERED
	case types.ReceiptTypeRead, types.ReceiptTypePlayed:
		return contract.ReceiptReceived_READ
	default:
		return contract.ReceiptReceived_TYPE_UNSPECIFIED
	}
}
