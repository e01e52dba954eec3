package session

import (
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"threadline/engine/internal/nodes"
)

func init() {
	store.DeviceProps.Os = proto.String("Threadline") // what the phone's list of linked devices shows
}

// newClient makes whatsmeow's client for a device, so that WhatsApp is told of nothing that is not saved.
func (s *Session) newClient(device *store.Device) *whatsmeow.Client {
	observer := &observer{session: s}
	client := whatsmeow.NewClient(device, nodes.NewLogger(observer, s.log))
	observer.client = client
	// Acks after the handlers: without it receipts, notifications and calls are lost.
	client.SynchronousAck = true
	// Decrypted text is kept until its handler has succeeded: a ratchet decrypts once, so without it messages are lost.
	client.EnableDecryptedEventBuffer = true
	client.UseRetryMessageStore = true
	client.AutomaticMessageRerequestFromPhone = true
	// A history notification is never repeated: it is saved like an event, and downloaded from there.
	client.ManualHistorySyncDownload = true
	// The keeper connects, with a back-off of its own.
	client.EnableAutoReconnect = false
	client.DisableLoginAutoReconnect = true
	client.BackgroundEventCtx = s.ctx
	client.SetWebsocketHTTPClient(s.http)
	client.SetPreLoginHTTPClient(s.http)
	client.SetMediaHTTPClient(s.http)
	client.PrePairCallback = func(jid types.JID, _, _ string) bool { return s.linking(jid) }
	client.AddEventHandlerWithSuccessStatus(func(event any) bool { return s.handle(client, event) })
	return client
}

// linking records the device before WhatsApp is told that it is linked.
func (s *Session) linking(jid types.JID) bool {
	if err := s.mark.Linking(s.ctx); err != nil {
		s.log.StoreFailed("linking the device", err)
		return false
	}
	if err := s.shared.Accounts.Link(s.ctx, s.term.Account, jid.String()); err != nil {
		s.log.StoreFailed("linking the device", err)
		return false
	}
	return true
}
