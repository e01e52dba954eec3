package session

import (
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waWa6"
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
	// A message is delivered when it is durable here, where employees read it, whether or not the phone is on: its sender sees two ticks.
	// Else whatsmeow marks the receipts of a client that is not `available` as inactive, and apps show one tick.
	client.SetForceActiveDeliveryReceipts(true)
	// The keeper connects, with a back-off of its own.
	client.EnableAutoReconnect = false
	client.DisableLoginAutoReconnect = true
	client.BackgroundEventCtx = s.ctx
	client.GetClientPayload = func() *waWa6.ClientPayload { return s.clientPayload(device) }
	client.SetWebsocketHTTPClient(s.http)
	client.SetPreLoginHTTPClient(s.http)
	client.SetMediaHTTPClient(s.http)
	client.PrePairCallback = func(jid types.JID, _, _ string) bool { return s.linking(jid) }
	client.AddEventHandlerWithSuccessStatus(func(event any) bool { return s.handle(client, event) })
	return client
}

// clientPayload is what WhatsApp is told of this client at each connect. whatsmeow's own setting of the version is the process's, and must
// not be changed while sessions connect.
func (s *Session) clientPayload(device *store.Device) *waWa6.ClientPayload {
	version := s.shared.Versions.Current()
	s.webVersion.Store(&version)
	payload := device.GetClientPayload()
	payload.UserAgent.AppVersion = version.ProtoAppVersion()
	if registration := payload.GetDevicePairingData(); registration != nil {
		hash := version.Hash()
		registration.BuildHash = hash[:]
	}
	return payload
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
