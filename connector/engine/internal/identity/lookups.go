package identity

import (
	"context"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// WhatsApp bans accounts that look many numbers up. Contacts without a LID are rare, so that these limits are met by odd traffic alone.
const (
	asksAtOnce  = 20
	askEvery    = 30 * time.Second
	askWithin   = 3 * time.Second
	missFor     = time.Hour   // how long WhatsApp's answer that it names no LID is believed
	pauseAfter  = time.Minute // without an answer, so that a backlog of messages does not wait for each of its senders
	missesKnown = 1000
)

// Ask asks WhatsApp for a number's LID: empty where it names none.
type Ask func(ctx context.Context, number types.JID) (types.JID, error)

// Lookups asks WhatsApp for the LIDs of numbers that come without one, at a bounded rate. WhatsApp's answers are remembered: the LIDs by
// whoever asks, in the session store, and the numbers without one here.
type Lookups struct {
	now func() time.Time

	mu          sync.Mutex
	nextFree    time.Time // the bucket: when all of its asks are there again
	pausedUntil time.Time
	missed      map[types.JID]time.Time
}

// NewLookups makes an account's lookups.
func NewLookups() *Lookups {
	return &Lookups{now: time.Now, missed: map[types.JID]time.Time{}}
}

// Through gives a mapping that asks for what was not learnt before.
func (l *Lookups) Through(learnt store.LIDStore, ask Ask) store.LIDStore {
	if learnt == nil {
		return nil
	}
	return asking{LIDStore: learnt, lookups: l, ask: ask}
}

type asking struct {
	store.LIDStore
	lookups *Lookups
	ask     Ask
}

func (a asking) GetLIDForPN(ctx context.Context, number types.JID) (types.JID, error) {
	found, err := a.LIDStore.GetLIDForPN(ctx, number)
	if err != nil || !found.IsEmpty() || !a.lookups.take(number) {
		return found, err
	}
	limited, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	found, err = a.ask(limited, number)
	a.lookups.answered(number, found, err)
	return found, err
}

// take says whether a number may be looked up now, and counts it.
func (l *Lookups) take(number types.JID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Before(l.pausedUntil) || now.Before(l.missed[number]) {
		return false
	}
	after := l.nextFree
	if after.Before(now) {
		after = now
	}
	if after = after.Add(askEvery); after.Sub(now) > asksAtOnce*askEvery {
		return false
	}
	l.nextFree = after
	return true
}

func (l *Lookups) answered(number, found types.JID, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.pausedUntil = l.now().Add(pauseAfter)
	case found.IsEmpty():
		if len(l.missed) >= missesKnown {
			clear(l.missed)
		}
		l.missed[number] = l.now().Add(missFor)
	}
}
