package session

import (
	"context"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waWeb"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"threadline/engine/internal/database"
)

// recoverPeerMessages finds what the account's phone had sent to this device when the process was killed: whatsmeow acknowledges such
// messages before their handler runs, so they never come again, but their text stands in its buffer until the handler has succeeded.
// Messages of people, which stand there too, are handed over again by WhatsApp.
func (s *Session) recoverPeerMessages(ctx context.Context) error {
	device := s.client.Store.GetJID()
	buffered, err := s.bufferedPlaintexts(ctx, device)
	if err != nil {
		return err
	}
	for hash, plaintext := range buffered {
		protocol := peerMessage(plaintext)
		kind, err := s.tryPeerMessage(ctx, protocol)
		if err != nil {
			return err
		}
		if kind == "" {
			continue
		}
		const clear = `UPDATE whatsmeow_event_buffer SET plaintext = NULL WHERE our_jid = $1 AND ciphertext_hash = $2`
		if _, err := s.shared.DB.SQL.ExecContext(ctx, clear, device.String(), []byte(hash)); err != nil {
			return err
		}
		s.log.PeerMessageRecovered(kind)
	}
	return nil
}

func (s *Session) bufferedPlaintexts(ctx context.Context, device types.JID) (map[string][]byte, error) {
	const query = `SELECT ciphertext_hash, plaintext FROM whatsmeow_event_buffer WHERE our_jid = $1 AND plaintext IS NOT NULL`
	rows, err := s.shared.DB.SQL.QueryContext(ctx, query, device.String())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	buffered := map[string][]byte{}
	for rows.Next() {
		var hash, plaintext []byte
		if err := rows.Scan(&hash, &plaintext); err != nil {
			return nil, err
		}
		buffered[string(hash)] = plaintext
	}
	return buffered, rows.Err()
}

// tryPeerMessage recovers one message. One that makes this program panic, or that the store refuses, is left where it is: the session opens
// all the same.
func (s *Session) tryPeerMessage(ctx context.Context, protocol *waE2E.ProtocolMessage) (kind string, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			s.log.HandlerPanicked(protocol, recovered)
			kind, err = "", nil
		}
	}()
	kind, err = s.recoverPeerMessage(ctx, protocol)
	if database.IsRefusal(err) {
		s.log.EventNotSaved("peer message", err)
		return "", nil
	}
	return kind, err
}

// recoverPeerMessage saves what a peer message says, and gives its kind; empty where there is nothing to save.
func (s *Session) recoverPeerMessage(ctx context.Context, protocol *waE2E.ProtocolMessage) (string, error) {
	if notification := protocol.GetHistorySyncNotification(); notification != nil {
		return "history", s.saveHistory(ctx, s.client, notification)
	}
	if share := protocol.GetAppStateSyncKeyShare(); share != nil {
		return "app_state_keys", saveAppStateKeys(ctx, s.client.Store, share)
	}
	response := protocol.GetPeerDataOperationRequestResponseMessage()
	if response.GetPeerDataOperationRequestType() != waE2E.PeerDataOperationRequestType_PLACEHOLDER_MESSAGE_RESEND {
		return "", nil
	}
	for _, result := range response.GetPeerDataOperationResult() {
		var sent waWeb.WebMessageInfo
		if proto.Unmarshal(result.GetPlaceholderMessageResendResponse().GetWebMessageInfoBytes(), &sent) != nil || sent.Message == nil {
			continue
		}
		message, err := s.client.ParseWebMessage(types.EmptyJID, &sent)
		if err != nil {
			continue // as whatsmeow does: it cannot be told whose it is
		}
		message.UnavailableRequestID = response.GetStanzaID()
		if event := s.messageEvent(ctx, s.client, message); event != nil {
			if err := s.box.Append(ctx, event); err != nil {
				return "", err
			}
		}
	}
	return "placeholder", nil
}

// peerMessage reads a buffered plaintext, padding and all.
func peerMessage(plaintext []byte) *waE2E.ProtocolMessage {
	if len(plaintext) == 0 || int(plaintext[len(plaintext)-1]) > len(plaintext) {
		return nil
	}
	var message waE2E.Message
	if proto.Unmarshal(plaintext[:len(plaintext)-int(plaintext[len(plaintext)-1])], &message) != nil {
		return nil
	}
	return message.GetProtocolMessage()
}
