package incoming

import (
	"testing"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"threadline/engine/contract"
)

func text(of string) *waE2E.Message { return &waE2E.Message{Conversation: proto.String(of)} }

func in(message *waE2E.Message) *waE2E.FutureProofMessage {
	return &waE2E.FutureProofMessage{Message: message}
}

func ephemeral(message *waE2E.Message) *waE2E.Message {
	return &waE2E.Message{EphemeralMessage: in(message)}
}

func shownAs(t *testing.T, message *waE2E.Message) (kind, said string) {
	t.Helper()
	var into contract.MessageReceived
	if !read(message, &into) {
		return "nothing", ""
	}
	return kindOf(&into), written(message)
}

func TestWrappersAreOpenedInAnyOrder(t *testing.T) {
	captioned := &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{Caption: proto.String("the offer")}}
	for name, c := range map[string]struct {
		message    *waE2E.Message
		kind, said string
	}{
		"own copy": {&waE2E.Message{DeviceSentMessage: &waE2E.DeviceSentMessage{Message: text("a")}}, "text", "a"},
		"own copy of a disappearing edit": {
			&waE2E.Message{DeviceSentMessage: &waE2E.DeviceSentMessage{Message: ephemeral(&waE2E.Message{EditedMessage: in(text("a"))})}},
			"text", "a",
		},
		"a document with its caption, disappearing": {ephemeral(&waE2E.Message{DocumentWithCaptionMessage: in(captioned)}), "document", "the offer"},
		"disappearing, in a document's wrapper":     {&waE2E.Message{DocumentWithCaptionMessage: in(ephemeral(captioned))}, "document", "the offer"},
		"a mention of a group":                      {&waE2E.Message{GroupMentionedMessage: in(text("a"))}, "text", "a"},
		"a spoiler in a question":                   {&waE2E.Message{QuestionMessage: in(&waE2E.Message{SpoilerMessage: in(text("a"))})}, "text", "a"},
		"the second picture of a pair":              {&waE2E.Message{AssociatedChildMessage: in(&waE2E.Message{ImageMessage: &waE2E.ImageMessage{}})}, "image", ""},
		"an animated sticker":                       {&waE2E.Message{LottieStickerMessage: in(&waE2E.Message{StickerMessage: &waE2E.StickerMessage{}})}, "sticker", ""},
		"to a bot":                                  {&waE2E.Message{BotInvokeMessage: in(text("a"))}, "text", "a"},
		"an empty wrapper":                          {&waE2E.Message{EphemeralMessage: in(nil)}, "nothing", ""},
	} {
		if kind, said := shownAs(t, c.message); kind != c.kind || said != c.said {
			t.Errorf("%s: shown as %s %q, not as %s %q", name, kind, said, c.kind, c.said)
		}
	}
}

func TestWhatIsNestedDeeperThanWhatsAppDoesIsNotOpened(t *testing.T) {
	message := text("a")
	for range deepest - 1 {
		message = ephemeral(message)
	}
	if kind, _ := shownAs(t, message); kind != kindText {
		t.Errorf("%d wrappers: shown as %s", deepest-1, kind)
	}
	if kind, _ := shownAs(t, ephemeral(message)); kind != "unsupported" {
		t.Errorf("%d wrappers: shown as %s", deepest, kind)
	}
}

func TestWhatMayBeSeenOnceNeverShowsItsContent(t *testing.T) {
	picture := &waE2E.Message{ImageMessage: &waE2E.ImageMessage{Caption: proto.String("secret"), MediaKey: []byte("key")}}
	flagged := proto.CloneOf(picture)
	flagged.ImageMessage.ViewOnce = proto.Bool(true)
	for name, message := range map[string]*waE2E.Message{
		"version 1":                    {ViewOnceMessage: in(picture)},
		"version 2":                    {ViewOnceMessageV2: in(picture)},
		"version 2, extended":          {ViewOnceMessageV2Extension: in(picture)},
		"version 2, disappearing":      {EphemeralMessage: in(&waE2E.Message{ViewOnceMessageV2: in(picture)})},
		"disappearing, in version 2":   {ViewOnceMessageV2: in(ephemeral(picture))},
		"by its own word":              flagged,
		"a recording, by its own word": {AudioMessage: &waE2E.AudioMessage{ViewOnce: proto.Bool(true)}},
	} {
		var into contract.MessageReceived
		if !read(message, &into) || into.GetNote().GetKind() != kindViewOnce || into.GetNote().GetText() != "" {
			t.Errorf("%s gives %v", name, &into)
		}
	}
}

func TestWhatHoldsNothingIsDropped(t *testing.T) {
	for name, message := range map[string]*waE2E.Message{
		"empty":                     {},
		"secrets alone":             {MessageContextInfo: &waE2E.MessageContextInfo{}},
		"an empty text":             text(""),
		"context alone":             {ExtendedTextMessage: &waE2E.ExtendedTextMessage{ContextInfo: &waE2E.ContextInfo{}}},
		"a group's key":             {SenderKeyDistributionMessage: &waE2E.SenderKeyDistributionMessage{}},
		"a reaction taken back":     {ReactionMessage: &waE2E.ReactionMessage{Text: proto.String("")}},
		"keys between devices":      {ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_APP_STATE_SYNC_KEY_SHARE.Enum()}},
		"a new timer":               {ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_EPHEMERAL_SETTING.Enum()}},
		"a protocol message's type": {ProtocolMessage: &waE2E.ProtocolMessage{}},
	} {
		if kind, _ := shownAs(t, message); kind != "nothing" {
			t.Errorf("%s is shown as %s", name, kind)
		}
	}
}

func TestAFieldOfANewerProtocolIsShownAsUnsupported(t *testing.T) {
	message := &waE2E.Message{MessageContextInfo: &waE2E.MessageContextInfo{}}
	newer := protowire.AppendTag(nil, 9999, protowire.BytesType)
	message.ProtoReflect().SetUnknown(protowire.AppendBytes(newer, []byte("x")))
	for name, sent := range map[string]*waE2E.Message{"alone": message, "disappearing": ephemeral(message)} {
		var into contract.MessageReceived
		if !read(sent, &into) || into.GetUnsupported() != unknownKind {
			t.Errorf("%s gives %v", name, &into)
		}
	}
}

func TestATextBesideAKeyIsTheText(t *testing.T) {
	message := text("hello")
	message.SenderKeyDistributionMessage = &waE2E.SenderKeyDistributionMessage{}
	message.MessageContextInfo = &waE2E.MessageContextInfo{}
	if kind, said := shownAs(t, message); kind != kindText || said != "hello" {
		t.Errorf("shown as %s %q", kind, said)
	}
	if IsKeyDistribution(message) {
		t.Error("a text beside a key is no key distribution")
	}
	if !IsKeyDistribution(&waE2E.Message{SenderKeyDistributionMessage: &waE2E.SenderKeyDistributionMessage{}}) {
		t.Error("a key alone is a key distribution")
	}
}

func TestABusinesssMessageIsItsText(t *testing.T) {
	for name, c := range map[string]struct {
		message *waE2E.Message
		said    string
	}{
		"template": {&waE2E.Message{TemplateMessage: &waE2E.TemplateMessage{HydratedTemplate: &waE2E.TemplateMessage_HydratedFourRowTemplate{
			HydratedContentText: proto.String("Your order is ready"), HydratedFooterText: proto.String("Shop"),
		}}}, "Your order is ready\nShop"},
		"interactive": {&waE2E.Message{InteractiveMessage: &waE2E.InteractiveMessage{
			Body: &waE2E.InteractiveMessage_Body{Text: proto.String("Choose")},
		}}, "Choose"},
		"button": {&waE2E.Message{ButtonsResponseMessage: &waE2E.ButtonsResponseMessage{
			Response: &waE2E.ButtonsResponseMessage_SelectedDisplayText{SelectedDisplayText: "Yes"},
		}}, "Yes"},
		"list": {&waE2E.Message{ListResponseMessage: &waE2E.ListResponseMessage{Title: proto.String("Tomorrow")}}, "Tomorrow"},
		"template's button": {&waE2E.Message{TemplateButtonReplyMessage: &waE2E.TemplateButtonReplyMessage{
			SelectedDisplayText: proto.String("Call me"),
		}}, "Call me"},
	} {
		if kind, said := shownAs(t, c.message); kind != kindText || said != c.said {
			t.Errorf("%s: shown as %s %q", name, kind, said)
		}
	}
}

func TestAnEditAndADeletionNameTheirMessage(t *testing.T) {
	key := &waCommon.MessageKey{ID: proto.String("3A01")}
	edit := &waE2E.Message{EditedMessage: in(&waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
		Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), Key: key, EditedMessage: text("better"),
	}})}
	deletion := &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_REVOKE.Enum(), Key: key}}
	for kind, message := range map[string]*waE2E.Message{kindEdit: edit, kindDeletion: deletion} {
		var into contract.MessageReceived
		if !read(message, &into) || into.GetNote().GetKind() != kind || into.GetNote().GetTargetId() != "3A01" {
			t.Errorf("%s gives %v", kind, &into)
		}
	}
	if _, said := shownAs(t, edit); said != "better" {
		t.Errorf("the edit says %q", said)
	}
}

func TestWhatStandsBesideContentIsTold(t *testing.T) {
	var into contract.MessageReceived
	read(ephemeral(&waE2E.Message{ImageMessage: &waE2E.ImageMessage{ContextInfo: &waE2E.ContextInfo{
		StanzaID: proto.String("3A01"), Participant: proto.String("40722222222:3@s.whatsapp.net"),
		MentionedJID: []string{"922222222704@lid", "?"}, NonJIDMentions: proto.Uint32(1), IsForwarded: proto.Bool(true),
		Expiration: proto.Uint32(604800), EphemeralSettingTimestamp: proto.Int64(1772366399),
	}}}), &into)
	want := &contract.Context{
		QuotedId: "3A01", QuotedSender: &contract.Person{Jid: "40722222222@s.whatsapp.net"},
		Mentions: []*contract.Person{{Jid: "922222222704@lid"}}, MentionsEveryone: true, IsForwarded: true,
		ExpirationS: 604800, ExpirationSetAtUnixS: 1772366399,
	}
	if !proto.Equal(into.GetContext(), want) {
		t.Errorf("told %v, not %v", into.GetContext(), want)
	}
}
