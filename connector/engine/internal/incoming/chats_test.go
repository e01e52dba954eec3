package incoming

import (
	"context"
	"testing"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

var (
	person    = types.NewJID("40722222222", types.DefaultUserServer)
	byLID     = types.NewJID("922222222704", types.HiddenUserServer)
	group     = types.NewJID("120363000000000000", types.GroupServer)
	broadcast = types.NewJID("1700000000", types.BroadcastServer)
)

func unnamed(types.JID) string { return "" }

func cameFrom(source types.MessageSource) *events.Message {
	message := text("hello")
	return &events.Message{
		Info: types.MessageInfo{MessageSource: source, ID: "3A01"}, Message: message, RawMessage: message,
	}
}

func TestWhichChatsAreShown(t *testing.T) {
	for name, c := range map[string]struct {
		source types.MessageSource
		shown  bool
		chat   types.JID
	}{
		"a number":              {types.MessageSource{Chat: person, Sender: person}, true, person},
		"a LID":                 {types.MessageSource{Chat: byLID, Sender: byLID}, true, byLID},
		"the account itself":    {types.MessageSource{Chat: person, Sender: person, IsFromMe: true}, true, person},
		"a group":               {types.MessageSource{Chat: group, Sender: byLID, IsGroup: true}, true, group},
		"a contact's list":      {types.MessageSource{Chat: broadcast, Sender: byLID, IsGroup: true}, true, byLID},
		"the account's list":    {types.MessageSource{Chat: broadcast, Sender: person, IsFromMe: true, IsGroup: true}, false, types.EmptyJID},
		"a status update":       {types.MessageSource{Chat: types.StatusBroadcastJID, Sender: person, IsGroup: true}, false, types.EmptyJID},
		"a channel":             {from("120363000000000001", types.NewsletterServer), false, types.EmptyJID},
		"WhatsApp":              {from("0", types.DefaultUserServer), false, types.EmptyJID},
		"WhatsApp, by old name": {from("0", types.LegacyUserServer), false, types.EmptyJID},
		"WhatsApp's number":     {from("16505361212", types.LegacyUserServer), false, types.EmptyJID},
		"an assistant":          {from("867051314767696", types.BotServer), false, types.EmptyJID},
		"an assistant's number": {from("13135550002", types.DefaultUserServer), false, types.EmptyJID},
		"Messenger":             {from("100000000000001", types.MessengerServer), false, types.EmptyJID},
		"another service":       {from("1-2", types.InteropServer), false, types.EmptyJID},
		"a server to come":      {from("1", "new.server"), false, types.EmptyJID},
	} {
		event := Message(context.Background(), nil, unnamed, cameFrom(c.source))
		if (event != nil) != c.shown {
			t.Errorf("%s: shown is %t", name, event != nil)
			continue
		}
		if c.shown && event.GetMessage().GetChatJid() != c.chat.String() {
			t.Errorf("%s: shown in %s", name, event.GetMessage().GetChatJid())
		}
		info := types.MessageInfo{MessageSource: c.source, ID: "3A01"}
		if (Awaited(context.Background(), nil, &info) != nil) != c.shown {
			t.Errorf("%s: a message that cannot be decrypted is told otherwise than one that can", name)
		}
	}
}

func TestAGroupsMessageNamesItsSenderAndItsGroup(t *testing.T) {
	source := types.MessageSource{Chat: group, Sender: byLID, SenderAlt: person, IsGroup: true}
	named := func(types.JID) string { return "Customers" }
	received := Message(context.Background(), nil, named, cameFrom(source)).GetMessage()
	if received.GetSender().GetJid() != byLID.String() || received.GetSender().GetOtherJid() != person.String() {
		t.Errorf("the sender is %v", received.GetSender())
	}
	if received.GetChatName() != "Customers" || received.GetChatOtherJid() != "" {
		t.Errorf("the chat is %q, %q", received.GetChatName(), received.GetChatOtherJid())
	}
	direct := Message(context.Background(), nil, named, cameFrom(types.MessageSource{Chat: byLID, Sender: byLID})).GetMessage()
	if direct.GetSender() != nil || direct.GetChatName() != "" {
		t.Errorf("a direct chat has a sender or a group's name: %v", direct)
	}
}

func TestACallToAGroupIsInTheGroup(t *testing.T) {
	call := types.BasicCallMeta{From: byLID, CallCreatorAlt: person, CallID: "CALL", GroupJID: group}
	received := Call(context.Background(), nil, unnamed, call, nil).GetMessage()
	if received.GetChatJid() != group.String() || received.GetSender().GetJid() != byLID.String() {
		t.Errorf("the call is in %s, of %v", received.GetChatJid(), received.GetSender())
	}
	call.GroupJID = types.EmptyJID
	received = Call(context.Background(), nil, unnamed, call, nil).GetMessage()
	if received.GetChatJid() != byLID.String() || received.GetSender() != nil || received.GetNote().GetKind() != kindCall {
		t.Errorf("a person's call is %v", received)
	}
}

func from(user, server string) types.MessageSource {
	jid := types.NewJID(user, server)
	return types.MessageSource{Chat: jid, Sender: jid}
}
