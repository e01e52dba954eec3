// Package backlog holds what WhatsApp announces after a connect against what arrives of it.
package backlog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"threadline/engine/internal/database"
)

// Ledger is one account's, in the session's own database: an announcement whose delivery is cut off, by whatever, is still owed on the
// next connection. WhatsApp announces then what it has still to hand over; where that is less than what is owed, the rest is lost.
type Ledger struct {
	db      *database.Database
	account string
}

func NewLedger(db *database.Database, account string) *Ledger {
	return &Ledger{db: db, account: account}
}

// Delivery is an announced backlog on its way.
type Delivery struct {
	Expected    int
	Began       time.Time // when the first announcement came whose delivery is not complete
	ConnectedAt time.Time // when this one came
}

// Announce notes an announcement. `count` is how many messages WhatsApp says are still to come.
func (l *Ledger) Announce(ctx context.Context, count int, now time.Time) (Delivery, error) {
	const query = `SELECT expected - settled, began_ms FROM engine_backlog WHERE account_id = $1`
	var owed, began int64
	err := l.db.SQL.QueryRowContext(ctx, query, l.account).Scan(&owed, &began)
	if errors.Is(err, sql.ErrNoRows) {
		began = now.UnixMilli()
	} else if err != nil {
		return Delivery{}, err
	}
	expected := max(int64(count), owed)
	if expected > 0 {
		const note = `INSERT INTO engine_backlog (account_id, expected, settled, began_ms) VALUES ($1, $2, 0, $3)
			ON CONFLICT (account_id) DO UPDATE SET expected = excluded.expected, settled = 0`
		if err := l.db.Durable(ctx, note, l.account, expected, began); err != nil {
			return Delivery{}, err
		}
	}
	return Delivery{Expected: int(expected), Began: time.UnixMilli(began), ConnectedAt: now}, nil
}

// Settle notes that one of the announced messages has arrived. It stands before WhatsApp is told so: what is announced once more is never
// counted twice, and what is not is never counted as lost. The flush of whatever WhatsApp is told takes it to the disk.
func (l *Ledger) Settle(ctx context.Context) error {
	const settle = `UPDATE engine_backlog SET settled = settled + 1 WHERE account_id = $1`
	_, err := l.db.SQL.ExecContext(ctx, settle, l.account)
	return err
}

// Conclude gives the statement that ends a delivery, to be carried out together with the event that tells of it.
func (l *Ledger) Conclude() (statement string, arguments []any) {
	return `DELETE FROM engine_backlog WHERE account_id = $1`, []any{l.account}
}
