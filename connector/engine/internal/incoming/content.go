package incoming

import (
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/reflect/protoreflect"

	"threadline/engine/contract"
)

// WhatsApp's apps nest six: the account's own copy of an edited document with a caption in a chat with disappearing messages, quoted from
// a channel. A message that is nested deeper is shown as unsupported.
const deepest = 8

const (
	tooDeep     = "nested too deeply"
	unknownKind = "unknown"
)

// read puts a message's content into the event. It says whether there is anything to show.
func read(message *waE2E.Message, into *contract.MessageReceived) bool {
	inner, name := opened(message)
	into.Context = contextOf(inner)
	switch {
	case name == tooDeep:
		into.Content = &contract.MessageReceived_Unsupported{Unsupported: tooDeep}
	case name != "" && readField(inner, name, into):
	case hasUnknown(inner):
		into.Content = &contract.MessageReceived_Unsupported{Unsupported: unknownKind}
	default:
		return false
	}
	return true
}

// opened takes a message out of its wrappers, and names the field that holds its content: tooDeep, or "" if no field does.
func opened(message *waE2E.Message) (*waE2E.Message, protoreflect.Name) {
	for range deepest {
		name := contentField(message)
		if !Fields[name].IsWrapper {
			return message, name
		}
		inner := wrapped(message, name)
		if inner == nil {
			return message, ""
		}
		message = inner
	}
	return message, tooDeep
}

// contentField names the field that holds a message's content: the first one that is not dropped. One that this program does not know
// counts as content. "": there is none.
func contentField(message *waE2E.Message) protoreflect.Name {
	var found protoreflect.Name
	fields := message.ProtoReflect().Descriptor().Fields()
	for place := range fields.Len() {
		field := fields.Get(place)
		if !message.ProtoReflect().Has(field) || Fields[field.Name()].Dropped != "" {
			continue
		}
		if Fields[field.Name()].IsWrapper {
			return field.Name()
		}
		if found == "" {
			found = field.Name()
		}
	}
	return found
}

// wrapped is the message in a wrapper. Every wrapper has it in its field "message".
func wrapped(message *waE2E.Message, name protoreflect.Name) *waE2E.Message {
	wrapper := message.ProtoReflect().Get(message.ProtoReflect().Descriptor().Fields().ByName(name)).Message()
	field := wrapper.Descriptor().Fields().ByName("message")
	if field == nil || !wrapper.Has(field) {
		return nil
	}
	inner, _ := wrapper.Get(field).Message().Interface().(*waE2E.Message)
	return inner
}

func readField(message *waE2E.Message, name protoreflect.Name, into *contract.MessageReceived) bool {
	field, known := Fields[name]
	if !known {
		into.Content = &contract.MessageReceived_Unsupported{Unsupported: string(name)}
		return true
	}
	if isViewOnce(message) {
		return note(kindViewOnce, nothing)(message, into)
	}
	return field.read(message, into)
}

// hasUnknown says whether a message has a field of a newer version of the protocol.
func hasUnknown(message *waE2E.Message) bool { return len(message.ProtoReflect().GetUnknown()) > 0 }

// isViewOnce says whether a message is a picture, video or recording that may be seen once, without the wrapper that mostly says so.
func isViewOnce(message *waE2E.Message) bool {
	return message.GetImageMessage().GetViewOnce() || message.GetVideoMessage().GetViewOnce() ||
		message.GetPtvMessage().GetViewOnce() || message.GetAudioMessage().GetViewOnce()
}

// written is the text or caption of a message; empty if it has none.
func written(message *waE2E.Message) string {
	var into contract.MessageReceived
	if message == nil || !read(message, &into) {
		return ""
	}
	switch content := into.Content.(type) {
	case *contract.MessageReceived_Text:
		return content.Text
	case *contract.MessageReceived_Media:
		return content.Media.GetCaption()
	case *contract.MessageReceived_Note:
		return content.Note.GetText()
	default:
		return ""
	}
}
