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

	"threadline/engine/contract"
	"threadline/engine/internal/identity"
)

// GroupName gives a group's name; empty where it is not known.
type GroupName func(group types.JID) string

// Message gives the event of a message, or nil for one that is not shown: of a chat that is not (isShown), without content (Fields), or
// between the account's own devices.
func Message(ctx context.Context, learnt store.LIDStore, nameOf GroupName, message *events.Message) *contract.Event {
	info := message.Info
	if !isShown(info.MessageSource) || isAmongOwnDevices(message) {
		return nil
	}
	var content contract.MessageReceived
	if !read(message.RawMessage, &content) {
		return nil
	}
	received := receivedFrom(ctx, learnt, nameOf, &info)
	received.Content, received.Context = content.Content, content.Context
	wire := wireOf(message.RawMessage)
	if content.GetNote().GetKind() == kindViewOnce {
		wire = nil // nobody but the phone's owner may see it, and only once
	}
	return &contract.Event{Kind: &contract.Event_Message{Message: received}, Wire: wire}
}

// ViewOnce gives the event of a message that may be seen once, of which WhatsApp tells linked devices nothing more; nil in a chat that is
// not shown.
func ViewOnce(ctx context.Context, learnt store.LIDStore, nameOf GroupName, info *types.MessageInfo) *contract.Event {
	if !isShown(info.MessageSource) {
		return nil
	}
	received := receivedFrom(ctx, learnt, nameOf, info)
	putNote(received, kindViewOnce, "", "")
	return &contract.Event{Kind: &contract.Event_Message{Message: received}}
}

// Awaited gives the event of a message that could not be decrypted, or nil for one that would not be shown.
func Awaited(ctx context.Context, learnt store.LIDStore, info *types.MessageInfo) *contract.Event {
	if !isShown(info.MessageSource) || info.Category == "peer" {
		return nil
	}
	names := chatOf(ctx, learnt, info.MessageSource)
	awaited := &contract.MessageAwaited{
		WhatsappId:   valid(info.ID),
		ChatJid:      valid(names.ChatJID()),
		ChatOtherJid: valid(names.OtherJID()),
		FromMe:       info.IsFromMe,
		TimestampS:   info.Timestamp.Unix(),
		Sender:       senderOf(ctx, learnt, info.MessageSource),
	}
	return &contract.Event{Kind: &contract.Event_Awaited{Awaited: awaited}}
}

// IsKeyDistribution says whether a message is the half of a group's message that carries the sender's key and no content. The other half
// comes under the same id.
func IsKeyDistribution(message *waE2E.Message) bool {
	hasKey := message.GetSenderKeyDistributionMessage() != nil || message.GetFastRatchetKeySenderKeyDistributionMessage() != nil
	return hasKey && contentField(message) == ""
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

func receivedFrom(ctx context.Context, learnt store.LIDStore, nameOf GroupName, info *types.MessageInfo) *contract.MessageReceived {
	names := chatOf(ctx, learnt, info.MessageSource)
	received := &contract.MessageReceived{
		WhatsappId:   valid(info.ID),
		ChatJid:      valid(names.ChatJID()),
		ChatOtherJid: valid(names.OtherJID()),
		FromMe:       info.IsFromMe,
		PushName:     valid(info.PushName),
		TimestampS:   info.Timestamp.Unix(),
		Sender:       senderOf(ctx, learnt, info.MessageSource),
	}
	if info.Chat.Server == types.GroupServer {
		received.ChatName = valid(nameOf(info.Chat.ToNonAD()))
	}
	return received
}

// chatOf names the chat. A contact's broadcast list shows in the contact's own chat, as in WhatsApp's apps.
func chatOf(ctx context.Context, learnt store.LIDStore, source types.MessageSource) identity.Names {
	switch {
	case source.Chat.Server == types.GroupServer:
		return identity.Names{Chat: source.Chat.ToNonAD()}
	case source.IsFromMe:
		return identity.Of(ctx, learnt, source.Chat, source.RecipientAlt)
	case source.Chat.Server == types.BroadcastServer:
		return identity.Of(ctx, learnt, source.Sender, source.SenderAlt)
	default:
		return identity.Of(ctx, learnt, source.Chat, source.SenderAlt)
	}
}

// senderOf names who wrote in a group; nil in a direct chat, where the chat or the account itself did.
func senderOf(ctx context.Context, learnt store.LIDStore, source types.MessageSource) *contract.Person {
	if source.Chat.Server != types.GroupServer {
		return nil
	}
	names := identity.Of(ctx, learnt, source.Sender, source.SenderAlt)
	return &contract.Person{Jid: valid(names.ChatJID()), OtherJid: valid(names.OtherJID())}
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
