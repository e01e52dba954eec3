// Package term is an owner's term at one account: until when this process may write for it, and whether it still may.
//
// Whatever leaves for WhatsApp or for the store asks in the last moment (internal/wanet, internal/database), so that a process that was
// frozen in between, and wakes up when its time is over, finds that out before it does harm.
package term

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// ErrOver says that the term has come to its end.
	ErrOver = errors.New("the owner's term is over")
	// ErrStale says that the account was claimed under a higher epoch, by this process or another.
	ErrStale = errors.New("the epoch is stale")
)

// Term is an owner's. Another one begins with each Open that is not an extension: one that is over stays over.
type Term struct {
	Account string
	Epoch   int64

	endsMs atomic.Int64
	ended  atomic.Bool
	stale  atomic.Bool

	mu      sync.Mutex
	onStale func()
}

// New is a term that ends at a moment of the clock (see Now).
func New(account string, epoch, endsMs int64) *Term {
	t := &Term{Account: account, Epoch: epoch}
	t.endsMs.Store(endsMs)
	return t
}

// Extend moves the end to a later moment. It answers false where the term is over, which no extension undoes.
func (t *Term) Extend(endsMs int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Err() != nil {
		return false
	}
	if endsMs > t.endsMs.Load() {
		t.endsMs.Store(endsMs)
	}
	return true
}

// Left is the time until the end, not above 0 from then on.
func (t *Term) Left() time.Duration {
	return time.Duration(t.endsMs.Load()-Now()) * time.Millisecond
}

// IsOver says whether the end has come.
func (t *Term) IsOver() bool { return t.Left() <= 0 }

// Err says why nothing may be written any more: ErrOver or ErrStale; nil while it may.
func (t *Term) Err() error {
	switch {
	case t.stale.Load():
		return ErrStale
	case t.ended.Load() || t.IsOver():
		return ErrOver
	}
	return nil
}

// End ends the term before its time.
func (t *Term) End() { t.ended.Store(true) }

// TakenOver says that the store knows a higher epoch.
func (t *Term) TakenOver() {
	if t.stale.Swap(true) {
		return
	}
	t.mu.Lock()
	told := t.onStale
	t.mu.Unlock()
	if told != nil {
		told()
	}
}

// WhenTakenOver has a function called, once, when the store is found to know a higher epoch. The function must not wait.
func (t *Term) WhenTakenOver(tell func()) {
	t.mu.Lock()
	t.onStale = tell
	t.mu.Unlock()
	if t.stale.Load() {
		tell()
	}
}

type key struct{}

// With gives a context in which what is written is written for a term.
func With(ctx context.Context, t *Term) context.Context { return context.WithValue(ctx, key{}, t) }

// Of gives the context's term, nil where it has none.
func Of(ctx context.Context) *Term {
	found, _ := ctx.Value(key{}).(*Term)
	return found
}
