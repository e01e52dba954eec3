// Package inbox keeps an account's events in the session's own database, from the moment they are received until the connector has
// them: WhatsApp is told only of what stands here.
package inbox

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"threadline/engine/contract"
	"threadline/engine/internal/database"
	"threadline/engine/internal/failpoint"
)

// Inbox is one account's, in one owner's term. Sequences grow by one, over restarts too; none is used again.
type Inbox struct {
	db      *database.Database
	account string
	onMore  func()

	mu   sync.Mutex
	last uint64
	sure bool // whether `last` is known to be what the database says
}

// Open reads how far the account's sequence has come. `onMore` is called after each event that was appended; it must not wait.
func Open(ctx context.Context, db *database.Database, account string, onMore func()) (*Inbox, error) {
	box := &Inbox{db: db, account: account, onMore: onMore}
	return box, box.readLast(ctx)
}

// Append makes an event durable under the account's next sequence. Raises term.ErrStale when the account is another's by now. An
// error of the database may leave the event saved all the same: appending it again is safe, since its reader knows it by its id.
func (b *Inbox) Append(ctx context.Context, event *contract.Event) error {
	return b.AppendWith(ctx, event)
}

// AppendWith appends an event together with other statements: all stand, or none.
func (b *Inbox) AppendWith(ctx context.Context, event *contract.Event, others ...database.Statement) error {
	encoded, err := proto.Marshal(event)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.sure {
		if err := b.readLast(ctx); err != nil {
			return err
		}
	}
	b.sure = false
	const insert = `INSERT INTO engine_inbox (account_id, sequence, event) VALUES ($1, $2, $3)`
	own := database.Statement{Query: insert, Arguments: []any{b.account, int64(b.last + 1), encoded}}
	if len(others) == 0 {
		err = b.db.Durable(ctx, own.Query, own.Arguments...)
	} else {
		err = b.db.Together(ctx, append([]database.Statement{own}, others...)...)
	}
	if err != nil {
		return err
	}
	b.last++
	b.sure = true
	failpoint.Pass(failpoint.InboxSaved)
	b.onMore()
	return nil
}

// Last is the sequence of the newest event, 0 where there was none.
func (b *Inbox) Last() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// After gives the oldest events that come after a sequence: at most `limit`, and no further one from `limitBytes` of them on. It says
// whether there may be more.
func (b *Inbox) After(ctx context.Context, sequence uint64, limit, limitBytes int) (events []*contract.Event, more bool, err error) {
	// The database itself adds the sizes up: what it has sent, it cannot take back.
	const query = `SELECT sequence, event FROM engine_inbox WHERE account_id = $1 AND sequence > $2 AND sequence <= (
		SELECT MAX(sequence) FROM (
			SELECT sequence, SUM(size) OVER (ORDER BY sequence) - size AS sum_before FROM (
				SELECT sequence, LENGTH(event) AS size FROM engine_inbox
				WHERE account_id = $3 AND sequence > $4 ORDER BY sequence LIMIT $5) AS sized) AS summed
		WHERE sum_before < $6) ORDER BY sequence`
	rows, err := b.db.SQL.QueryContext(ctx, query, b.account, int64(sequence), b.account, int64(sequence), limit, limitBytes)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	size := 0
	for rows.Next() {
		var number int64
		var encoded []byte
		if err := rows.Scan(&number, &encoded); err != nil {
			return nil, false, err
		}
		event := &contract.Event{}
		if err := proto.Unmarshal(encoded, event); err != nil {
			return nil, false, fmt.Errorf("event %d cannot be read: %w", number, err)
		}
		event.Sequence = uint64(number)
		events = append(events, event)
		size += len(encoded)
	}
	return events, len(events) == limit || size >= limitBytes, rows.Err()
}

// Acknowledge removes all events up to and including a sequence.
func (b *Inbox) Acknowledge(ctx context.Context, sequence uint64) error {
	transaction, err := b.db.SQL.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer transaction.Rollback()
	// The highest sequence must outlive its event, or it would be used again.
	const note = `INSERT INTO engine_acknowledged (account_id, sequence) VALUES ($1, $2)
		ON CONFLICT (account_id) DO UPDATE SET sequence = excluded.sequence WHERE engine_acknowledged.sequence < excluded.sequence`
	if _, err := transaction.ExecContext(ctx, note, b.account, int64(sequence)); err != nil {
		return err
	}
	const remove = `DELETE FROM engine_inbox WHERE account_id = $1 AND sequence <= $2`
	if _, err := transaction.ExecContext(ctx, remove, b.account, int64(sequence)); err != nil {
		return err
	}
	return transaction.Commit()
}

func (b *Inbox) readLast(ctx context.Context) error {
	last, err := Last(ctx, b.db.SQL, b.account)
	if err == nil {
		b.last, b.sure = last, true
	}
	return err
}

// Reader is a database, or a transaction.
type Reader interface {
	QueryRowContext(ctx context.Context, query string, arguments ...any) *sql.Row
}

// Last reads the sequence of an account's newest event, whether it is acknowledged or not.
func Last(ctx context.Context, from Reader, account string) (uint64, error) {
	const query = `SELECT COALESCE(MAX(sequence), 0) FROM (
		SELECT sequence FROM engine_inbox WHERE account_id = $1 UNION ALL
		SELECT sequence FROM engine_acknowledged WHERE account_id = $2) AS known`
	var last int64
	err := from.QueryRowContext(ctx, query, account, account).Scan(&last)
	return uint64(last), err
}
