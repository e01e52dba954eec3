package incoming

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/reflect/protoreflect"

	"threadline/engine/contract"
)

const documented = "../../../../docs/kinds.md"

func TestEveryFieldOfTheProtocolIsNamed(t *testing.T) {
	inProtocol := map[protoreflect.Name]bool{}
	fields := (&waE2E.Message{}).ProtoReflect().Descriptor().Fields()
	for place := range fields.Len() {
		name := fields.Get(place).Name()
		inProtocol[name] = true
		if _, named := Fields[name]; !named {
			t.Errorf("whatsmeow has the field %s, which Fields does not name: say there whether it is shown, and add it to docs/kinds.md", name)
		}
	}
	for name := range Fields {
		if !inProtocol[name] {
			t.Errorf("Fields names %s, which the protocol does not have", name)
		}
	}
}

func TestAFieldIsShownOrOpenedOrDroppedForAReason(t *testing.T) {
	for name, field := range Fields {
		ways := 0
		for _, taken := range []bool{field.Shown != "", field.IsWrapper, field.Dropped != ""} {
			if taken {
				ways++
			}
		}
		if ways != 1 || (field.Shown != "") != (field.read != nil) {
			t.Errorf("%s must have exactly one of Shown, IsWrapper and Dropped, and a reader if it is shown: %+v", name, field)
		}
	}
}

func TestEveryWrapperHoldsAMessage(t *testing.T) {
	fields := (&waE2E.Message{}).ProtoReflect().Descriptor().Fields()
	for name, field := range Fields {
		if !field.IsWrapper {
			continue
		}
		inner := fields.ByName(name).Message().Fields().ByName("message")
		if inner == nil || inner.Message().FullName() != fields.ByName(name).ContainingMessage().FullName() {
			t.Errorf("%s holds no message", name)
		}
	}
}

// Every field is set alone, with every text in it filled, as a contact could send it.
func TestEveryFieldBecomesWhatTheTableSays(t *testing.T) {
	for name, field := range Fields {
		message := &waE2E.Message{}
		fill(message.ProtoReflect(), message.ProtoReflect().Descriptor().Fields().ByName(name), 0)
		var into contract.MessageReceived
		shown := read(message, &into)
		switch {
		case field.Dropped != "" && shown:
			t.Errorf("%s is shown as %s, and the table drops it", name, kindOf(&into))
		case field.Shown != "" && name != "protocolMessage" && !shown:
			t.Errorf("%s is not shown", name)
		case field.Shown != "" && shown && !slices.Contains(variants[field.Shown], kindOf(&into)) && kindOf(&into) != field.Shown:
			t.Errorf("%s is shown as %s, and the table says %s", name, kindOf(&into), field.Shown)
		}
	}
}

// Kinds that one field may become beside the one in the table.
var variants = map[string][]string{
	kindVideo: {"gif", kindViewOnce}, kindAudio: {"voice", kindViewOnce}, kindImage: {kindViewOnce}, kindVideoNote: {kindViewOnce},
	kindEdit: {kindDeletion}, kindText: {kindHidden},
}

func TestTheDocumentHasTheTable(t *testing.T) {
	text, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), table()) {
		t.Errorf("docs/kinds.md does not have the table of Fields. It must hold:\n%s", table())
	}
}

// table is Fields as docs/kinds.md has it, in the order of the protocol.
func table() string {
	var rows strings.Builder
	fields := (&waE2E.Message{}).ProtoReflect().Descriptor().Fields()
	for place := range fields.Len() {
		name := fields.Get(place).Name()
		field := Fields[name]
		became := "shown as `" + field.Shown + "`"
		switch {
		case field.IsWrapper:
			became = "opened: what it holds is shown"
		case field.Dropped != "":
			became = "dropped: " + field.Dropped
		}
		fmt.Fprintf(&rows, "| `%s` | %s |\n", name, became)
	}
	return rows.String()
}

// kindOf is the kind that whatsapp_messages gets (connector/content.py).
func kindOf(received *contract.MessageReceived) string {
	switch content := received.Content.(type) {
	case *contract.MessageReceived_Text:
		return kindText
	case *contract.MessageReceived_Media:
		return map[contract.Media_Type]string{
			contract.Media_IMAGE: kindImage, contract.Media_VIDEO: kindVideo, contract.Media_GIF: "gif", contract.Media_VIDEO_NOTE: kindVideoNote,
			contract.Media_AUDIO: kindAudio, contract.Media_VOICE: "voice", contract.Media_DOCUMENT: kindDocument,
			contract.Media_STICKER: kindSticker, contract.Media_STICKER_PACK: kindStickerPack,
		}[content.Media.GetType()]
	case *contract.MessageReceived_Location:
		return kindLocation
	case *contract.MessageReceived_Contacts:
		return kindContacts
	case *contract.MessageReceived_Poll:
		return kindPoll
	case *contract.MessageReceived_Note:
		return content.Note.GetKind()
	case *contract.MessageReceived_Unsupported:
		return "unsupported"
	default:
		return "nothing"
	}
}

// fill sets a field, and in the messages below it every text and number, a few levels deep.
func fill(message protoreflect.Message, field protoreflect.FieldDescriptor, depth int) {
	switch {
	case field.IsList() || field.IsMap() || depth > 6:
	case field.Message() != nil:
		below := message.Mutable(field).Message()
		for place := range field.Message().Fields().Len() {
			inner := field.Message().Fields().Get(place)
			if inner.ContainingOneof() != nil && below.WhichOneof(inner.ContainingOneof()) != nil {
				continue
			}
			if inner.Message() != nil && inner.Message().FullName() == message.Descriptor().FullName() {
				text := "inner text"
				below.Set(inner, protoreflect.ValueOfMessage((&waE2E.Message{Conversation: &text}).ProtoReflect()))
				continue
			}
			fill(below, inner, depth+1)
		}
	case field.Kind() == protoreflect.StringKind:
		message.Set(field, protoreflect.ValueOfString("text"))
	case field.Kind() == protoreflect.BytesKind:
		message.Set(field, protoreflect.ValueOfBytes([]byte{1}))
	case field.Kind() == protoreflect.EnumKind:
		if name := field.Enum().Values().ByName("MESSAGE_EDIT"); name != nil {
			message.Set(field, protoreflect.ValueOfEnum(name.Number()))
		}
	}
}
