package session

import (
	"context"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"

	"threadline/engine/contract"
	"threadline/engine/internal/pace"
	"threadline/engine/internal/term"
)

// phoneSight is when the account's phone was last seen, and told of.
type phoneSight struct {
	mu     sync.Mutex
	toldAt time.Time
}

// phoneSpoke looks whether a stanza comes from the account's phone, which is device 0 of the account's own person: a message that was typed
// there or is meant for this device, or a receipt of the phone's, or of something that was read there. What the server itself says of the
// account (notifications) proves nothing, since the account's other linked devices cause it, too.
func (s *Session) phoneSpoke(client *whatsmeow.Client, node *waBinary.Node) {
	attributes := node.AttrGetter()
	from := attributes.OptionalJIDOrEmpty("from")
	if participant := attributes.OptionalJIDOrEmpty("participant"); !participant.IsEmpty() {
		from = participant
	}
	if from.Device != 0 || !s.isOwn(client, from) {
		return
	}
	now := time.Now()
	at := attributes.OptionalUnixTime("t")
	if at.IsZero() || at.After(now) {
		at = now
	}
	s.phone.mu.Lock()
	isNews := at.Sub(s.phone.toldAt) >= pace.PhoneSeen
	if isNews {
		s.phone.toldAt = at
	}
	s.phone.mu.Unlock()
	if isNews {
		s.feed.tell(&contract.Event{Kind: &contract.Event_PhoneSeen{PhoneSeen: &contract.PhoneSeen{AtUnixS: at.Unix()}}})
	}
}

// PingPhone asks the phone for the key to the app state, which a phone that is on sends. It is the question by which mautrix-whatsapp keeps
// phones in sight, too.
func (s *Session) PingPhone(ctx context.Context) error {
	client := s.connectedClient()
	if client == nil {
		return ErrNotConnected
	}
	ctx = term.With(ctx, s.term)
	wanted := &waE2E.AppStateSyncKeyRequest{}
	key, err := client.Store.AppStateKeys.GetLatestAppStateSyncKeyID(ctx)
	if err != nil {
		return err
	}
	if key != nil {
		wanted.KeyIDs = []*waE2E.AppStateSyncKeyId{{KeyID: key}}
	}
	_, err = client.SendPeerMessage(ctx, &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
		Type:                   waE2E.ProtocolMessage_APP_STATE_SYNC_KEY_REQUEST.Enum(),
		AppStateSyncKeyRequest: wanted,
	}})
	return err
}
