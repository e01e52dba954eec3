// Package identity knows that one person has two names, a number and a LID, and gives both wherever both are known.
package identity

import (
	"context"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// Names are a chat's: as it was addressed, and the same person's other name, empty where it is not known.
type Names struct {
	Chat  types.JID
	Other types.JID
}

// ChatJID is the name as the contract has it.
func (n Names) ChatJID() string { return text(n.Chat) }

// OtherJID is the other name as the contract has it.
func (n Names) OtherJID() string { return text(n.Other) }

// Of gives both names of a chat. `stated` is what the event itself says about the other name; where it says nothing, the mapping that was
// learnt before is asked. A mapping that cannot be read is no reason to lose an event: then the other name is not known.
func Of(ctx context.Context, learnt store.LIDStore, chat, stated types.JID) Names {
	names := Names{Chat: person(chat)}
	if other := person(stated); isOtherName(names.Chat, other) {
		names.Other = other
		if learnt != nil && (isHosted(chat) || isHosted(stated)) {
			names.learn(ctx, learnt)
		}
		return names
	}
	if learnt == nil {
		return names
	}
	var found types.JID
	var err error
	switch names.Chat.Server {
	case types.HiddenUserServer:
		found, err = learnt.GetPNForLID(ctx, names.Chat)
	case types.DefaultUserServer:
		found, err = learnt.GetLIDForPN(ctx, names.Chat)
	}
	if other := person(found); err == nil && isOtherName(names.Chat, other) {
		names.Other = other
	}
	return names
}

// Canonical is the name that a chat bears: the LID where it is known.
func (n Names) Canonical() types.JID {
	if n.Other.Server == types.HiddenUserServer {
		return n.Other
	}
	return n.Chat
}

// learn keeps both names of a direct chat. whatsmeow does so by itself, but not with the names of a hosted device. What cannot be kept is
// stated again by the person's next event.
func (n Names) learn(ctx context.Context, learnt store.LIDStore) {
	lid, number := n.Chat, n.Other
	if lid.Server != types.HiddenUserServer {
		lid, number = number, lid
	}
	_ = learnt.PutLIDMapping(ctx, lid, number)
}

func isHosted(jid types.JID) bool {
	return jid.Server == types.HostedServer || jid.Server == types.HostedLIDServer
}

// person is a JID without its device. A device that Meta hosts for a company is its person's, as any other.
func person(jid types.JID) types.JID {
	bare := jid.ToNonAD()
	switch bare.Server {
	case types.HostedServer:
		bare.Server = types.DefaultUserServer
	case types.HostedLIDServer:
		bare.Server = types.HiddenUserServer
	}
	return bare
}

// IsPerson says whether a JID names a person, by number or LID.
func IsPerson(jid types.JID) bool {
	return jid.User != "" && (jid.Server == types.DefaultUserServer || jid.Server == types.HiddenUserServer)
}

// PhoneE164 is the number of a device, with its plus sign.
func PhoneE164(device types.JID) string { return "+" + device.User }

func isOtherName(chat, other types.JID) bool {
	return IsPerson(chat) && IsPerson(other) && chat.Server != other.Server
}

func text(jid types.JID) string {
	if jid.IsEmpty() {
		return ""
	}
	return jid.String()
}
