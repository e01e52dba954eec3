package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"threadline/engine/internal/failpoint"
	"threadline/engine/internal/history"
	"threadline/engine/internal/identity"
	"threadline/engine/internal/term"
)

const (
	historyWithin = 2 * time.Minute
	historyTries  = 5
	historyPause  = 30 * time.Second
	// historyMost is the size of the largest part that is downloaded, into memory. WhatsApp's are a few MB.
	historyMost = 128 << 20
)

// One part of a history can hold many megabytes: the engine takes one at a time, over all accounts.
var historyTurn = make(chan struct{}, 1)

// saveHistory makes a part of the history durable that is still to be taken. What comes for a device that is unlinked by now is left out.
func (s *Session) saveHistory(ctx context.Context, client *whatsmeow.Client, notification *waE2E.HistorySyncNotification) error {
	s.historyLinked.Lock()
	defer s.historyLinked.Unlock()
	if client != s.current() {
		return nil
	}
	encoded, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(notification)
	if err != nil {
		return nil // it came decoded from the wire: it cannot be told better the next time
	}
	digest := sha256.Sum256(encoded)
	const insert = `INSERT INTO engine_history (account_id, digest, notification) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	if err := s.shared.DB.Durable(ctx, insert, s.term.Account, hex.EncodeToString(digest[:]), encoded); err != nil {
		return err
	}
	failpoint.Pass(failpoint.HistorySaved)
	s.takeHistory()
	return nil
}

// takeHistory has what is saved taken, by a thread that ends when there is nothing left, or no connection to take it over.
func (s *Session) takeHistory() {
	s.historyWanted.Store(true)
	if s.historyTaken.CompareAndSwap(false, true) {
		go func() {
			for s.historyWanted.Swap(false) {
				s.takeAllHistory()
			}
			s.historyTaken.Store(false)
			if s.historyWanted.Load() {
				s.takeHistory()
			}
		}()
	}
}

var errHistoryPanicked = errors.New("taking a part of the history panicked")

// takeAllHistory learns from the saved parts which numbers and LIDs belong together, hands over what was asked for, and keeps the rest.
func (s *Session) takeAllHistory() {
	if err := s.pruneHistory(); err != nil {
		s.log.HistoryNotTaken(err)
	}
	for range historyTries {
		left, err := s.takeSavedHistory()
		if errors.Is(err, ErrNotConnected) || (err == nil && left == 0) {
			return
		}
		if err != nil {
			s.log.HistoryNotTaken(err)
		}
		select {
		case <-time.After(historyPause):
		case <-s.ctx.Done():
			return
		}
	}
}

// takeSavedHistory gives how many parts are left, having been tried.
func (s *Session) takeSavedHistory() (left int, err error) {
	digests, err := s.savedHistory()
	if err != nil {
		return 0, err
	}
	for _, digest := range digests {
		if err := s.tryHistoryPart(digest); errors.Is(err, ErrNotConnected) {
			return left, err
		} else if isGone(err) {
			s.historyDropped("gone", history.Dropped{Parts: 1})
		} else if err != nil {
			s.log.HistoryNotTaken(err)
			left++
			continue
		}
		const remove = `DELETE FROM engine_history WHERE account_id = $1 AND digest = $2`
		if _, err := s.shared.DB.SQL.ExecContext(s.ctx, remove, s.term.Account, digest); err != nil {
			return left, err
		}
	}
	return left, nil
}

// savedHistory names the parts: each may hold megabytes.
func (s *Session) savedHistory() (digests []string, err error) {
	const query = `SELECT digest FROM engine_history WHERE account_id = $1 ORDER BY digest`
	rows, err := s.shared.DB.SQL.QueryContext(s.ctx, query, s.term.Account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var digest string
		if err := rows.Scan(&digest); err != nil {
			return nil, err
		}
		digests = append(digests, digest)
	}
	return digests, rows.Err()
}

// tryHistoryPart takes one part. One that makes this program panic is left for the next connection.
func (s *Session) tryHistoryPart(digest string) (err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			s.log.HandlerPanicked(&waE2E.HistorySyncNotification{}, recovered)
			err = errHistoryPanicked
		}
	}()
	return s.takeHistoryPart(digest)
}

func (s *Session) takeHistoryPart(digest string) error {
	client := s.connectedClient()
	if client == nil {
		return ErrNotConnected
	}
	ctx, cancel := context.WithTimeout(s.ctx, historyWithin)
	defer cancel()
	select {
	case historyTurn <- struct{}{}:
		defer func() { <-historyTurn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var encoded []byte
	const query = `SELECT notification FROM engine_history WHERE account_id = $1 AND digest = $2`
	if err := s.shared.DB.SQL.QueryRowContext(ctx, query, s.term.Account, digest).Scan(&encoded); err != nil {
		return err
	}
	notification := &waE2E.HistorySyncNotification{}
	if err := proto.Unmarshal(encoded, notification); err != nil {
		return err
	}
	if size := notification.GetFileLength(); size > historyMost {
		s.historyDropped("too_large", history.Dropped{Parts: 1, Bytes: int64(size)})
		return nil
	}
	content := notification.GetInitialHistBootstrapInlinePayload()
	if content == nil {
		var err error
		if content, err = client.Download(ctx, notification); err != nil {
			return err
		}
	}
	if err := s.keepHistory(ctx, client, digest, notification, content); err != nil {
		return err
	}
	return s.useHistory(ctx, client, content)
}

// useHistory takes from a part what has a use now.
func (s *Session) useHistory(ctx context.Context, client *whatsmeow.Client, content []byte) error {
	// As if it had come within the notification: it is downloaded already. This stores the mappings that are listed as such.
	inline := &waE2E.HistorySyncNotification{InitialHistBootstrapInlinePayload: content}
	part, err := client.DownloadHistorySync(ctx, inline, true)
	if err != nil {
		s.log.HistoryUnreadable(err)
		return nil // it will be no better the next time
	}
	s.ownNameAmong(client, part.GetPushnames())
	for _, conversation := range part.GetConversations() {
		number, numberError := types.ParseJID(conversation.GetPnJID())
		lid, lidError := types.ParseJID(conversation.GetLidJID())
		if numberError == nil && lidError == nil {
			client.StoreLIDPNMapping(ctx, lid, number)
		}
	}
	if err := s.timersAmong(ctx, client, part.GetConversations()); err != nil {
		return err
	}
	if part.GetSyncType() != waHistorySync.HistorySync_ON_DEMAND {
		return nil // what was before the account was linked
	}
	return s.handOver(client, part)
}

// handOver tells the messages of a history that was asked for.
func (s *Session) handOver(client *whatsmeow.Client, asked *waHistorySync.HistorySync) error {
	for _, conversation := range asked.GetConversations() {
		chat, err := types.ParseJID(conversation.GetID())
		if err != nil {
			continue
		}
		messages := conversation.GetMessages()
		for place := len(messages) - 1; place >= 0; place-- { // a phone lists the newest first
			sent := messages[place].GetMessage()
			if sent.GetMessage() == nil || sent.MessageStubType != nil {
				continue // what an app shows between messages
			}
			message, err := client.ParseWebMessage(chat, sent)
			if err != nil {
				continue // it cannot be told whose it is
			}
			event := s.messageEvent(s.ctx, client, message)
			if event == nil {
				continue
			}
			event.GetMessage().FromHistory = true
			if err := s.box.Append(s.ctx, event); err != nil {
				return err
			}
		}
	}
	return nil
}

// RequestHistory asks the account's phone for what came in a chat before a message.
func (s *Session) RequestHistory(ctx context.Context, before *types.MessageInfo, count int) error {
	client := s.connectedClient()
	if client == nil {
		return ErrNotConnected
	}
	ctx = term.With(ctx, s.term)
	// WhatsApp addresses persons by LID, so the phone keeps the chat under it, where it is known.
	if names := identity.Of(ctx, client.Store.LIDs, before.Chat, types.EmptyJID); names.Other.Server == types.HiddenUserServer {
		before.Chat = names.Other
	}
	_, err := client.SendPeerMessage(ctx, client.BuildHistorySyncRequest(before, count))
	return err
}

// isGone says that a part cannot be had any more.
func isGone(err error) bool {
	return errors.Is(err, whatsmeow.ErrMediaDownloadFailedWith403) || errors.Is(err, whatsmeow.ErrMediaDownloadFailedWith404) ||
		errors.Is(err, whatsmeow.ErrMediaDownloadFailedWith410)
}
