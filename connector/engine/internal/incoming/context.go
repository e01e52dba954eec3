package incoming

import (
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/reflect/protoreflect"

	"threadline/engine/contract"
)

const everyone = 1 // of contextInfo.nonJIDMentions

// contextOf gives what stands beside a message's content; nil where nothing does.
func contextOf(message *waE2E.Message) *contract.Context {
	info := contextInfo(message)
	if info == nil {
		return nil
	}
	context := &contract.Context{
		QuotedId:             valid(info.GetStanzaID()),
		QuotedSender:         personOf(info.GetParticipant()),
		QuotedChatJid:        valid(info.GetRemoteJID()),
		MentionsEveryone:     info.GetNonJIDMentions() == everyone,
		IsForwarded:          info.GetIsForwarded(),
		ExpirationS:          info.GetExpiration(),
		ExpirationSetAtUnixS: info.GetEphemeralSettingTimestamp(),
	}
	for _, mentioned := range info.GetMentionedJID() {
		if named := personOf(mentioned); named != nil {
			context.Mentions = append(context.Mentions, named)
		}
	}
	return context
}

// contextInfo finds the field contextInfo of a message's content, whichever content that is.
func contextInfo(message *waE2E.Message) *waE2E.ContextInfo {
	var found *waE2E.ContextInfo
	message.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Message() == nil || field.IsList() {
			return true
		}
		content := value.Message()
		inner := content.Descriptor().Fields().ByName("contextInfo")
		if inner == nil || !content.Has(inner) {
			return true
		}
		found, _ = content.Get(inner).Message().Interface().(*waE2E.ContextInfo)
		return found == nil
	})
	return found
}

// personOf names somebody whom a message mentions or quotes. Their other name is not looked up.
func personOf(jid string) *contract.Person {
	named, err := types.ParseJID(jid)
	if err != nil || named.User == "" {
		return nil
	}
	return &contract.Person{Jid: valid(named.ToNonAD().String())}
}
