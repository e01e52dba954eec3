package session

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

const announceWithin = 10 * time.Second

// announce gives WhatsApp's server the account's name, which contacts see with each message; without it they see "-". The presence is
// "unavailable": with "available", the account's phone would show no notifications any more. It is sent once the name is known: at each
// connect, and each time that the name changes.
//
// See https://pkg.go.dev/go.mau.fi/whatsmeow#Client.SendPresence, and https://github.com/tulir/whatsmeow/issues/262.
func (s *Session) announce(client *whatsmeow.Client) {
	go func() { // a write to a socket that is stuck waits
		ctx, cancel := context.WithTimeout(s.ctx, announceWithin)
		defer cancel()
		err := client.SendPresence(ctx, types.PresenceUnavailable)
		if err != nil && !errors.Is(err, whatsmeow.ErrNoPushName) && s.ctx.Err() == nil {
			s.log.NotAnnounced(err)
		}
	}()
}

// ownNameIn learns the account's name from a message that the account's phone has written, where the app state has not told it.
func (s *Session) ownNameIn(client *whatsmeow.Client, message *events.Message) {
	if message.Info.IsFromMe && message.Info.Sender.Device == 0 {
		s.learnOwnName(client, message.Info.PushName)
	}
}

// ownNameAmong learns the account's name from the names of a history.
func (s *Session) ownNameAmong(client *whatsmeow.Client, names []*waHistorySync.Pushname) {
	for _, name := range names {
		jid, err := types.ParseJID(name.GetID())
		if err == nil && s.isOwn(client, jid) {
			s.learnOwnName(client, name.GetPushname())
		}
	}
}

func (s *Session) learnOwnName(client *whatsmeow.Client, name string) {
	if name == "" || name == "-" || client.Store.PushName != "" {
		return
	}
	client.Store.PushName = name
	if err := client.Store.Save(s.ctx); err != nil {
		s.log.StoreFailed("saving the account's name", err)
	}
	s.announce(client)
}

// isOwn says whether a JID is the account's own person, under either name.
func (s *Session) isOwn(client *whatsmeow.Client, jid types.JID) bool {
	return !jid.IsEmpty() && (jid.User == client.Store.GetJID().User && jid.Server == types.DefaultUserServer ||
		jid.User == client.Store.GetLID().User && jid.Server == types.HiddenUserServer)
}
