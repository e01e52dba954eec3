package session

import (
	"context"
	"database/sql"
	"errors"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"threadline/engine/internal/database"
	"threadline/engine/internal/identity"
	"threadline/engine/internal/incoming"
)

// timers keeps the timers for disappearing messages of an account's direct chats. No server knows them: a client that forgets a timer
// sends messages that stay. They are read and written one by one, since there may be thousands.
type timers struct {
	db      *database.Database
	account string
}

// of gives a chat's timer, under whichever of the chat's names it was set last.
func (t timers) of(ctx context.Context, names identity.Names) (incoming.Timer, error) {
	const query = `SELECT seconds, set_at FROM engine_timers WHERE account_id = $1 AND chat IN ($2, $3) ORDER BY set_at DESC LIMIT 1`
	var seconds, setAt int64
	err := t.db.SQL.QueryRowContext(ctx, query, t.account, names.Chat.String(), names.Other.String()).Scan(&seconds, &setAt)
	if errors.Is(err, sql.ErrNoRows) {
		return incoming.Timer{}, nil
	}
	return incoming.Timer{Seconds: uint32(seconds), SetAtUnixS: setAt}, err
}

// learn stores a timer that was set later than the known one.
func (t timers) learn(ctx context.Context, told *incoming.TimedChat) error {
	known, err := t.of(ctx, told.Names)
	if err != nil {
		return err
	}
	timer := told.Timer
	if timer.SetAtUnixS == 0 {
		if timer.Seconds == known.Seconds {
			return nil
		}
		timer.SetAtUnixS = told.SaidAtUnixS
	}
	if timer.SetAtUnixS < known.SetAtUnixS || timer == known {
		return nil
	}
	name := told.Names.Chat
	if told.Names.Other.Server == types.HiddenUserServer {
		name = told.Names.Other
	}
	const keep = `INSERT INTO engine_timers (account_id, chat, seconds, set_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id, chat) DO UPDATE SET seconds = excluded.seconds, set_at = excluded.set_at`
	_, err = t.db.SQL.ExecContext(ctx, keep, t.account, name.String(), int64(timer.Seconds), timer.SetAtUnixS)
	return err
}

// timerCame keeps the timer that a message tells, before WhatsApp is told that the message was taken.
func (s *Session) timerCame(client *whatsmeow.Client, message *events.Message, how patience) bool {
	told := incoming.TimerIn(s.ctx, client.Store.LIDs, message)
	if told == nil {
		return true
	}
	return s.persist("timer", how, func() error { return s.timers.learn(s.ctx, told) })
}

// timersAmong keeps the timers of a history's chats.
func (s *Session) timersAmong(ctx context.Context, client *whatsmeow.Client, conversations []*waHistorySync.Conversation) error {
	for _, conversation := range conversations {
		chat, err := types.ParseJID(conversation.GetID())
		if err != nil || !identity.IsPerson(chat) || conversation.GetEphemeralSettingTimestamp() == 0 {
			continue
		}
		told := &incoming.TimedChat{
			Names: identity.Of(ctx, client.Store.LIDs, chat, types.EmptyJID),
			Timer: incoming.Timer{
				Seconds:    conversation.GetEphemeralExpiration(),
				SetAtUnixS: conversation.GetEphemeralSettingTimestamp(),
			},
		}
		if err := s.timers.learn(ctx, told); err != nil {
			return err
		}
	}
	return nil
}

// timerOf gives the timer that a message to a chat is sent under.
func (s *Session) timerOf(ctx context.Context, chat types.JID) (incoming.Timer, error) {
	return s.timers.of(ctx, identity.Of(ctx, s.current().Store.LIDs, chat, types.EmptyJID))
}
