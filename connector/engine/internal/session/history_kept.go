package session

import (
	"context"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"threadline/engine/contract"
	"threadline/engine/internal/history"
)

// isKept: what the phone hands over by itself, once, and what has a use later. What was asked for is handed over; status posts are dropped.
func isKept(kind waE2E.HistorySyncType) bool {
	return kind != waE2E.HistorySyncType_ON_DEMAND && kind != waE2E.HistorySyncType_INITIAL_STATUS_V3
}

// keepHistory keeps a part until something can use it, or a limit passes. Raises ErrNotConnected when the device was unlinked meanwhile.
func (s *Session) keepHistory(
	ctx context.Context, client *whatsmeow.Client, digest string, notification *waE2E.HistorySyncNotification, content []byte,
) error {
	if s.shared.HistoryBytes == 0 || !isKept(notification.GetSyncType()) {
		return nil
	}
	word := proto.Clone(notification).(*waE2E.HistorySyncNotification)
	word.InitialHistBootstrapInlinePayload = nil
	encoded, err := proto.MarshalOptions{AllowPartial: true}.Marshal(word)
	if err != nil {
		return err
	}
	s.historyLinked.Lock()
	defer s.historyLinked.Unlock()
	if client != s.current() {
		return ErrNotConnected
	}
	dropped, err := s.archive.Keep(ctx, history.Part{
		Digest:       digest,
		Type:         notification.GetSyncType().String(),
		Order:        notification.GetChunkOrder(),
		Notification: encoded,
		Content:      content,
	})
	s.historyDropped("limit", dropped)
	return err
}

func (s *Session) pruneHistory() error {
	dropped, err := s.archive.Prune(s.ctx)
	s.historyDropped("limit", dropped)
	return err
}

// historyDropped says that parts are not kept, or not any more.
func (s *Session) historyDropped(why string, dropped history.Dropped) {
	if dropped.Parts == 0 {
		return
	}
	s.log.HistoryDropped(why, dropped.Parts, dropped.Bytes)
	told := &contract.HistoryDropped{Parts: uint32(dropped.Parts), Bytes: uint64(dropped.Bytes)}
	s.feed.tell(&contract.Event{Kind: &contract.Event_HistoryDropped{HistoryDropped: told}})
}
