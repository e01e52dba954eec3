package session

import (
	"context"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"threadline/engine/contract"
	"threadline/engine/internal/incoming"
	"threadline/engine/internal/term"
)

// messageEvent gives the contract's event of a message; nil for one that is not shown.
func (s *Session) messageEvent(ctx context.Context, client *whatsmeow.Client, message *events.Message) *contract.Event {
	if edited := decryptedEdit(ctx, client, message); edited != nil {
		message.RawMessage = edited
	}
	return incoming.Message(ctx, s.names(client), s.groupName(client), message)
}

// names gives the mapping between numbers and LIDs for messages: what was not learnt is asked for, since the chat is named after it.
func (s *Session) names(client *whatsmeow.Client) store.LIDStore {
	return s.lookups.Through(client.Store.LIDs, func(ctx context.Context, number types.JID) (types.JID, error) {
		found, err := client.GetUserInfo(term.With(ctx, s.term), []types.JID{number})
		return found[number].LID, err
	})
}

func (s *Session) groupName(client *whatsmeow.Client) incoming.GroupName {
	return func(group types.JID) string { return s.groups.of(client, group) }
}

// decryptedEdit gives what an encrypted edit says, as a plain edit; nil for any other message, and where the edited message's secret is
// not known here.
func decryptedEdit(ctx context.Context, client *whatsmeow.Client, message *events.Message) *waE2E.Message {
	secret := message.Message.GetSecretEncryptedMessage()
	if secret.GetSecretEncType() != waE2E.SecretEncryptedMessage_MESSAGE_EDIT {
		return nil
	}
	text, err := client.DecryptSecretEncryptedMessage(ctx, message)
	if err != nil {
		return nil
	}
	if text.GetProtocolMessage() != nil || text.GetEditedMessage() != nil {
		return text
	}
	return &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
		Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), Key: secret.GetTargetMessageKey(), EditedMessage: proto.CloneOf(text),
	}}
}
