package outbound

import (
	"time"

	"go.mau.fi/whatsmeow/types"
)

// An ack that is later than this says nothing new: the connector has long sent the id again.
const (
	awaitedFor  = time.Hour
	awaitedMost = 1000
)

// unanswered are the sends that ended without an ack, and may still get one.
type unanswered struct {
	chats map[string]types.JID
	order []awaited
}

type awaited struct {
	id    string
	since time.Time
}

func newUnanswered() *unanswered { return &unanswered{chats: map[string]types.JID{}} }

func (u *unanswered) put(id string, chat types.JID) {
	now := time.Now()
	for len(u.order) > 0 && (len(u.order) >= awaitedMost || now.Sub(u.order[0].since) > awaitedFor) {
		delete(u.chats, u.order[0].id)
		u.order = u.order[1:]
	}
	u.chats[id] = chat
	u.order = append(u.order, awaited{id: id, since: now})
}

func (u *unanswered) take(id string) (types.JID, bool) {
	chat, found := u.chats[id]
	delete(u.chats, id)
	return chat, found
}
