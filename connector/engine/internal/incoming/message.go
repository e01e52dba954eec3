// Package incoming makes contract events of what whatsmeow hands over.
package incoming

import (
	"context"
	"strings"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"threadline/engine/contract"
	"threadline/engine/internal/identity"
)

const unknownKind = "unknown"

// What stands beside a message's content without being it.
var accompanying = map[protoreflect.Name]bool{
	"messageContextInfo":                         true,
	"senderKeyDistributionMessage":               true,
	"fastRatchetKeySenderKeyDistributionMessage": true,
}

// Message gives the event of a message, or nil for what is no chat's: status updates, newsletters, and the account's own devices'
// messages to each other.
func Message(ctx context.Context, learnt store.LIDStore, message *events.Message) *contract.Event {
	info := message.Info
	if info.Chat == types.StatusBroadcastJID || info.Chat.Server == types.NewsletterServer || isAmongOwnDevices(message) {
		return nil
	}
	names := chatOf(ctx, learnt, info.MessageSource)
	received := &contract.MessageReceived{
		WhatsappId:   valid(info.ID),
		ChatJid:      valid(names.ChatJID()),
		ChatOtherJid: valid(names.OtherJID()),
		FromMe:       info.IsFromMe,
		PushName:     valid(info.PushName),
		TimestampS:   info.Timestamp.Unix(),
	}
	if text := textOf(message.Message); text != "" {
		received.Content = &contract.MessageReceived_Text{Text: valid(text)}
	} else {
		received.Content = &contract.MessageReceived_Unsupported{Unsupported: kindOf(message.Message)}
	}
	return &contract.Event{Kind: &contract.Event_Message{Message: received}, Wire: wireOf(message.RawMessage)}
}

// Awaited gives the event of a message that could not be decrypted, or nil for what is no chat's.
func Awaited(ctx context.Context, learnt store.LIDStore, info *types.MessageInfo) *contract.Event {
	if info.Chat == types.StatusBroadcastJID || info.Chat.Server == types.NewsletterServer || info.Category == "peer" {
		return nil
	}
	names := chatOf(ctx, learnt, info.MessageSource)
	awaited := &contract.MessageAwaited{
		WhatsappId:   valid(info.ID),
		ChatJid:      valid(names.ChatJID()),
		ChatOtherJid: valid(names.OtherJID()),
		FromMe:       info.IsFromMe,
		TimestampS:   info.Timestamp.Unix(),
	}
	return &contract.Event{Kind: &contract.Event_Awaited{Awaited: awaited}}
}

// IsPeer says whether WhatsApp counts a message as taken before its handler runs: it never comes again, whatever the handler says.
func IsPeer(message *events.Message) bool {
	return message.UnavailableRequestID != "" || message.Info.Category == "peer" || isAmongOwnDevices(message)
}

func isAmongOwnDevices(message *events.Message) bool {
	if message.UnavailableRequestID != "" || !message.Info.IsFromMe {
		return false
	}
	protocol := message.Message.GetProtocolMessage()
	return message.Info.Category == "peer" || protocol.GetHistorySyncNotification() != nil ||
		protocol.GetAppStateSyncKeyShare() != nil || protocol.GetPeerDataOperationRequestResponseMessage() != nil ||
		protocol.GetLidMigrationMappingSyncMessage() != nil
}

// chatOf names the chat. A contact's broadcast list shows in the contact's own chat, as in WhatsApp's apps.
func chatOf(ctx context.Context, learnt store.LIDStore, source types.MessageSource) identity.Names {
	switch {
	case source.IsFromMe:
		return identity.Of(ctx, learnt, source.Chat, source.RecipientAlt)
	case source.Chat.Server == types.BroadcastServer:
		return identity.Of(ctx, learnt, source.Sender, source.SenderAlt)
	case source.IsGroup:
		return identity.Names{Chat: source.Chat.ToNonAD()}
	default:
		return identity.Of(ctx, learnt, source.Chat, source.SenderAlt)
	}
}

func textOf(message *waE2E.Message) string {
	if text := message.GetConversation(); text != "" {
		return text
	}
	return message.GetExtendedTextMessage().GetText()
}

// kindOf is the protocol's word for a message's content.
func kindOf(message *waE2E.Message) string {
	kind := unknownKind
	message.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if accompanying[field.Name()] {
			return true
		}
		kind = string(field.Name())
		return false
	})
	return kind
}

// wireOf is the message as its sender encrypted it. Fields that this program does not know are kept, and text that is not UTF-8.
func wireOf(message *waE2E.Message) []byte {
	wire, err := proto.MarshalOptions{AllowPartial: true}.Marshal(message)
	if err != nil {
		return nil
	}
	return wire
}

// valid makes a contact's string fit for the contract, which cannot carry what is not UTF-8. The wire bytes keep the truth.
func valid(text string) string { return strings.ToValidUTF8(text, "�") }
