package accounts

import (
	"context"
	"sync"

	"threadline/engine/internal/database"
)

// Mark is how far an account's store has come: a number that grows with each owner, each event and each message that leaves, and never
// shrinks but in one way: an older store is put in this one's place. Whoever remembers it can tell then.
//
// It is the sum of three counters, each of which only grows within one store's history. So an older state of that history has a lower sum.
type Mark struct {
	db      *database.Database
	account string
	epoch   int64

	mu     sync.Mutex
	frames int64
	behind bool
}

// Value is the mark, when the account's newest event is of this sequence. It stands in the store, on the disk.
func (m *Mark) Value(sequence uint64) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sequence + uint64(m.frames) + uint64(m.epoch)
}

// IsBehind says that an older store took this one's place, and that no device was linked since.
func (m *Mark) IsBehind() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.behind
}

// Leaving counts a message that is about to leave. It must stand before the message does, and is not flushed to the disk here.
func (m *Mark) Leaving(ctx context.Context) error {
	const count = `INSERT INTO engine_marks (account_id, frames) VALUES ($1, 1)
		ON CONFLICT (account_id) DO UPDATE SET frames = engine_marks.frames + 1`
	if _, err := m.db.SQL.ExecContext(ctx, count, m.account); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.frames++
	return nil
}

// Linking says that a device is about to be linked, whose keys are new: nothing older is in the store from then on.
func (m *Mark) Linking(ctx context.Context) error {
	if !m.IsBehind() {
		return nil
	}
	const forget = `UPDATE engine_marks SET behind = FALSE WHERE account_id = $1`
	if _, err := m.db.SQL.ExecContext(ctx, forget, m.account); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.behind = false
	return nil
}
