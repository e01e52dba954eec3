package incoming

import (
	"go.mau.fi/whatsmeow/proto/waE2E"

	"threadline/engine/contract"
)

// nothing is the text of a note that has none.
func nothing(*waE2E.Message) string { return "" }

// note reads a field as one line: its kind, and the text that its sender wrote.
func note(kind string, text func(*waE2E.Message) string) reader {
	return func(message *waE2E.Message, into *contract.MessageReceived) bool {
		return putNote(into, kind, text(message), "")
	}
}

func putNote(into *contract.MessageReceived, kind, text, target string) bool {
	told := &contract.Note{Kind: kind, Text: valid(text), TargetId: valid(target)}
	into.Content = &contract.MessageReceived_Note{Note: told}
	return true
}

// protocolMessage reads the two messages of the protocol that change what people see. All others are for programs.
func protocolMessage(m *waE2E.Message, into *contract.MessageReceived) bool {
	message := m.GetProtocolMessage()
	target := message.GetKey().GetID()
	switch {
	case message.Type == nil:
		return false
	case message.GetType() == waE2E.ProtocolMessage_REVOKE:
		return putNote(into, kindDeletion, "", target)
	case message.GetType() == waE2E.ProtocolMessage_MESSAGE_EDIT:
		return putNote(into, kindEdit, written(message.GetEditedMessage()), target)
	default:
		return false
	}
}

// secretEncrypted reads an encrypted change of a message. Its text needs the secret of the changed message: EditedText has it, where the
// secret is known.
func secretEncrypted(m *waE2E.Message, into *contract.MessageReceived) bool {
	message := m.GetSecretEncryptedMessage()
	if message.GetSecretEncType() != waE2E.SecretEncryptedMessage_MESSAGE_EDIT {
		return false
	}
	return putNote(into, kindEdit, "", message.GetTargetMessageKey().GetID())
}

// reaction reads a reaction: an emoji, or none where the reaction is taken back, which is nothing to show.
func reaction(m *waE2E.Message, into *contract.MessageReceived) bool {
	reacted := m.GetReactionMessage()
	return reacted.GetText() != "" && putNote(into, kindReaction, reacted.GetText(), reacted.GetKey().GetID())
}
