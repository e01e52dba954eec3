package incoming

import (
	"context"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types/events"

	"threadline/engine/internal/identity"
)

// Timer is a direct chat's timer for disappearing messages.
type Timer struct {
	// Seconds is how long a message stays; 0: for ever.
	Seconds uint32
	// SetAtUnixS is when one of the two has set the timer; 0: not known.
	SetAtUnixS int64
}

// TimedChat is a direct chat and its timer at a time.
type TimedChat struct {
	Names identity.Names
	Timer Timer
	// SaidAtUnixS is the time of the message that tells the timer.
	SaidAtUnixS int64
}

// TimerIn gives the timer that a message of a direct chat sets, or was written under; nil for a message that tells none. A message
// without a timer does not end one: apps leave the timer out of some kinds.
func TimerIn(ctx context.Context, learnt store.LIDStore, message *events.Message) *TimedChat {
	if message.RawMessage == nil || !isShown(message.Info.MessageSource) {
		return nil
	}
	names := chatOf(ctx, learnt, message.Info.MessageSource)
	timer, found := timerOf(message.RawMessage)
	if !found || !identity.IsPerson(names.Chat) {
		return nil
	}
	said := message.Info.Timestamp.Unix()
	if timer.SetAtUnixS < 0 || timer.SetAtUnixS > said { // nobody sets a timer later than the message says so
		timer.SetAtUnixS = said
	}
	return &TimedChat{Names: names, Timer: timer, SaidAtUnixS: said}
}

func timerOf(message *waE2E.Message) (Timer, bool) {
	inner, _ := opened(message)
	if setting := inner.GetProtocolMessage(); setting != nil {
		if setting.GetType() != waE2E.ProtocolMessage_EPHEMERAL_SETTING {
			return Timer{}, false
		}
		return Timer{Seconds: setting.GetEphemeralExpiration(), SetAtUnixS: setting.GetEphemeralSettingTimestamp()}, true
	}
	info := contextInfo(inner)
	if info.GetExpiration() == 0 {
		return Timer{}, false
	}
	return Timer{Seconds: info.GetExpiration(), SetAtUnixS: info.GetEphemeralSettingTimestamp()}, true
}
