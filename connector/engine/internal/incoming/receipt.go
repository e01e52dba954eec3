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

// Receipt gives the event of a receipt, or nil for one that says nothing of what a person has seen: about a message that could not be
// decrypted (whatsmeow sends that again by itself), that the account's own device has a message, and from a member of a group (the
// contract cannot say which member).
func Receipt(ctx context.Context, learnt store.LIDStore, receipt *events.Receipt, wire []byte) *contract.Event {
	kind := receiptType(receipt)
	if kind == contract.ReceiptReceived_TYPE_UNSPECIFIED || len(receipt.MessageIDs) == 0 {
		return nil
	}
	ids := make([]string, len(receipt.MessageIDs))
	for place, id := range receipt.MessageIDs {
		ids[place] = valid(id)
	}
	stated := receipt.SenderAlt // the contact's other name
	if receipt.IsFromMe {
		stated = receipt.RecipientAlt
	}
	names := identity.Of(ctx, learnt, receipt.Chat, stated)
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

func receiptType(receipt *events.Receipt) contract.ReceiptReceived_Type {
	if receipt.IsFromMe {
		return ownReceiptType(receipt.Type)
	}
	if receipt.IsGroup {
		return contract.ReceiptReceived_TYPE_UNSPECIFIED
	}
	switch receipt.Type {
	case types.ReceiptTypeDelivered, types.ReceiptTypeInactive: // inactive: delivered to a device that nobody looks at
		return contract.ReceiptReceived_DELIVERED
	case types.ReceiptTypeRead, types.ReceiptTypePlayed:
		return contract.ReceiptReceived_READ
	default:
		return contract.ReceiptReceived_TYPE_UNSPECIFIED
	}
}

// ownReceiptType is of a receipt from another device of the account. The phone sends "read-self" in place of "read" where its owner does
// not let contacts know what was read.
func ownReceiptType(of types.ReceiptType) contract.ReceiptReceived_Type {
	switch of {
	case types.ReceiptTypeRead, types.ReceiptTypeReadSelf:
		return contract.ReceiptReceived_READ_ON_PHONE
	default:
		return contract.ReceiptReceived_TYPE_UNSPECIFIED
	}
}
