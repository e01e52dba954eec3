// Package backlog holds what WhatsApp announces after a connect against what arrives of it.
package backlog

import (
	"context"
	"time"

	"threadline/engine/internal/database"
)

// Ledger is one account's, in the session's own database. Whatever was announced arrives after that, on this connection or on a later one:
// what has not arrived when a delivery is complete is lost. So announcements whose delivery was cut off stand until then, and with them
// which messages have arrived since. A message that comes once more, since WhatsApp did not hear that it had come, is still one.
type Ledger struct {
	db      *database.Database
	account string
}

func NewLedger(db *database.Database, account string) *Ledger {
	return &Ledger{db: db, account: account}
}

// Delivery is an announced backlog on its way.
type Delivery struct {
	Began       time.Time // when the first announcement came whose delivery is not complete
	ConnectedAt time.Time // when this one came
	ordinal     int64
}

// Announce notes an announcement of so many messages; without any, it gives the delivery that is still owed, nil where none is.
func (l *Ledger) Announce(ctx context.Context, messages int, now time.Time) (*Delivery, error) {
	const query = `SELECT COALESCE(MAX(ordinal), 0), COALESCE(MIN(announced_ms), 0) FROM engine_backlog WHERE account_id = $1`
	var last, began int64
	if err := l.db.SQL.QueryRowContext(ctx, query, l.account).Scan(&last, &began); err != nil {
		return nil, err
	}
	if last == 0 {
		began = now.UnixMilli()
		if messages == 0 {
			return nil, nil
		}
	}
	const note = `INSERT INTO engine_backlog (account_id, ordinal, messages, announced_ms) VALUES ($1, $2, $3, $4)`
	if err := l.db.Durable(ctx, note, l.account, last+1, messages, now.UnixMilli()); err != nil {
		return nil, err
	}
	return &Delivery{Began: time.UnixMilli(began), ConnectedAt: now, ordinal: last + 1}, nil
}

// Arrived gives the statement that notes an announced message as arrived. It stands before WhatsApp is told so, which then announces it no
// more.
func (l *Ledger) Arrived(delivery *Delivery, stanza string) database.Statement {
	const note = `INSERT INTO engine_backlog_arrived (account_id, stanza, ordinal) VALUES ($1, $2, $3)
		ON CONFLICT (account_id, stanza) DO UPDATE SET ordinal = excluded.ordinal`
	return database.Statement{Query: note, Arguments: []any{l.account, stanza, delivery.ordinal}}
}

// Owed gives how many messages the delivery and those before it were to bring, at least, and how many of them have not come.
func (l *Ledger) Owed(ctx context.Context) (announced, missing int, err error) {
	const query = `SELECT COALESCE(MAX(messages), 0), COALESCE(MAX(messages - (SELECT COUNT(*) FROM engine_backlog_arrived AS arrived
		WHERE arrived.account_id = announced.account_id AND arrived.ordinal >= announced.ordinal)), 0)
		FROM engine_backlog AS announced WHERE announced.account_id = $1`
	err = l.db.SQL.QueryRowContext(ctx, query, l.account).Scan(&announced, &missing)
	return announced, max(missing, 0), err
}

// Conclude gives the statements that end a delivery, to be carried out together with the event that tells of it.
func (l *Ledger) Conclude() []database.Statement {
	return []database.Statement{
		{Query: `DELETE FROM engine_backlog WHERE account_id = $1`, Arguments: []any{l.account}},
		{Query: `DELETE FROM engine_backlog_arrived WHERE account_id = $1`, Arguments: []any{l.account}},
	}
}
