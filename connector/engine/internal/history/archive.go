// Package history keeps the parts of an account's history that its phone hands over when the device is linked: WhatsApp does not offer
// them again. They stay in the session store until something can use them, or a limit passes.
package history

import (
	"context"
	"time"

	"threadline/engine/internal/database"
	"threadline/engine/internal/failpoint"
)

const (
	// keepFor is how long a part is kept.
	keepFor = 90 * 24 * time.Hour
	// chunkBytes is how much of a part stands in one row: whoever writes or reads a part, or a backup of it, holds no more in memory.
	chunkBytes = 256 << 10
)

// Part describes one part of the history.
type Part struct {
	// Digest names the part within its account.
	Digest string
	// Type is WhatsApp's name of the sync type, such as "RECENT".
	Type string
	// Order is the part's place among those of its type.
	Order uint32
	// Notification is WhatsApp's word on the part, encoded, without the part's content.
	Notification []byte
	// Content is as it came: a HistorySync, compressed with zlib.
	Content []byte
}

// Dropped counts parts that are not kept any more.
type Dropped struct {
	Parts, Bytes int64
}

// Archive holds one account's parts.
type Archive struct {
	db         *database.Database
	account    string
	limitBytes int64
	now        func() time.Time
}

// Open gives an account's archive, which holds no more than `limitBytes`. Nothing is read.
func Open(db *database.Database, account string, limitBytes int64) *Archive {
	return &Archive{db: db, account: account, limitBytes: limitBytes, now: time.Now}
}

// Keeps says whether a part of this size is kept at all.
func (a *Archive) Keeps(size int64) bool { return size <= a.limitBytes }

// Keep makes a part durable. What is too old or, with the new part, too much is dropped, the oldest part first. Idempotent: after an error
// it is called again. A part that alone is too large is dropped itself.
func (a *Archive) Keep(ctx context.Context, part Part) (Dropped, error) {
	size := int64(len(part.Content))
	if !a.Keeps(size) {
		return Dropped{Parts: 1, Bytes: size}, nil
	}
	for place := 0; place*chunkBytes < len(part.Content); place++ {
		chunk := part.Content[place*chunkBytes : min((place+1)*chunkBytes, len(part.Content))]
		const insert = `INSERT INTO engine_history_chunks (account_id, digest, place, content) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
		if _, err := a.db.SQL.ExecContext(ctx, insert, a.account, part.Digest, place, chunk); err != nil {
			return Dropped{}, err
		}
		failpoint.Pass(failpoint.HistoryChunk)
	}
	// The part exists from here on: chunks without it are what an earlier attempt has left.
	const insert = `INSERT INTO engine_history_parts (account_id, digest, sync_type, chunk_order, kept_ms, bytes, notification)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`
	keptMs := a.now().UnixMilli()
	if err := a.db.Durable(ctx, insert, a.account, part.Digest, part.Type, int64(part.Order), keptMs, size, part.Notification); err != nil {
		return Dropped{}, err
	}
	failpoint.Pass(failpoint.HistoryKept)
	return a.Prune(ctx)
}

// Prune drops what is too old, then the oldest parts while there is too much.
func (a *Archive) Prune(ctx context.Context) (Dropped, error) {
	old, err := a.surplus(ctx)
	if err != nil {
		return Dropped{}, err
	}
	var dropped Dropped
	for _, part := range old {
		if err := a.drop(ctx, part.digest); err != nil {
			return dropped, err
		}
		dropped.Parts++
		dropped.Bytes += part.bytes
	}
	return dropped, nil
}

type kept struct {
	digest string
	bytes  int64
}

// surplus gives the parts that the limits leave no room for.
func (a *Archive) surplus(ctx context.Context) ([]kept, error) {
	const query = `SELECT digest, bytes, kept_ms FROM engine_history_parts WHERE account_id = $1 ORDER BY kept_ms DESC, digest`
	rows, err := a.db.SQL.QueryContext(ctx, query, a.account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var surplus []kept
	oldestMs, total := a.now().Add(-keepFor).UnixMilli(), int64(0)
	for rows.Next() {
		var part kept
		var keptMs int64
		if err := rows.Scan(&part.digest, &part.bytes, &keptMs); err != nil {
			return nil, err
		}
		total += part.bytes
		if keptMs < oldestMs || total > a.limitBytes {
			surplus = append(surplus, part)
		}
	}
	return surplus, rows.Err()
}

func (a *Archive) drop(ctx context.Context, digest string) error {
	return a.db.Together(ctx,
		database.Statement{
			Query:     `DELETE FROM engine_history_parts WHERE account_id = $1 AND digest = $2`,
			Arguments: []any{a.account, digest},
		},
		database.Statement{
			Query:     `DELETE FROM engine_history_chunks WHERE account_id = $1 AND digest = $2`,
			Arguments: []any{a.account, digest},
		},
	)
}

// Forget removes everything of the account: its device is unlinked.
func (a *Archive) Forget(ctx context.Context) error {
	var statements []database.Statement
	for _, table := range []string{"engine_history_parts", "engine_history_chunks", "engine_history"} {
		statements = append(statements, database.Statement{
			Query: `DELETE FROM ` + table + ` WHERE account_id = $1`, Arguments: []any{a.account},
		})
	}
	return a.db.Together(ctx, statements...)
}
