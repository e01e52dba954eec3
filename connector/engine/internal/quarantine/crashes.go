package quarantine

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"threadline/engine/internal/database"
)

const (
	// forgottenAfter is how long after a crash an account is handled as if there had been none.
	forgottenAfter = time.Hour
	// After so many crashes of which no stanza is known to be the cause, or of any cause, the account is held.
	unexplainedMost = 2
	crashesMost     = 4
)

// Crashes are those of the process in the last hour that happened while it handled one account.
type Crashes struct {
	count       int
	unexplained int
	last        time.Time
}

// NoteCrash notes that the process has crashed while it handled an account. The stanza that was in hand then is isolated from now on. It
// belongs to no owner's term: the term ended with the process.
func NoteCrash(ctx context.Context, db *database.Database, account string) error {
	ctx = database.Unowned(ctx)
	transaction, err := db.SQL.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer transaction.Rollback()
	crashes, inHand, err := read(ctx, transaction, account)
	if err != nil {
		return err
	}
	crashes.count++
	now := time.Now().UnixMilli()
	if inHand == "" {
		crashes.unexplained++
	} else {
		const isolate = `INSERT INTO engine_quarantine (account_id, stanza, failures, reason, noted_ms) VALUES ($1, $2, $3, 'crash', $4)
			ON CONFLICT (account_id, stanza) DO UPDATE
			SET failures = excluded.failures, reason = excluded.reason, noted_ms = excluded.noted_ms`
		if _, err := transaction.ExecContext(ctx, isolate, account, inHand, failuresMost, now); err != nil {
			return err
		}
	}
	const note = `INSERT INTO engine_crashes (account_id, crashes, unexplained, crashed_ms) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id) DO UPDATE SET crashes = excluded.crashes, unexplained = excluded.unexplained,
		crashed_ms = excluded.crashed_ms, in_hand = ''`
	if _, err := transaction.ExecContext(ctx, note, account, crashes.count, crashes.unexplained, now); err != nil {
		return err
	}
	return transaction.Commit()
}

// CrashesOf reads an account's crashes.
func CrashesOf(ctx context.Context, db *database.Database, account string) (Crashes, error) {
	crashes, _, err := read(ctx, db.SQL, account)
	return crashes, err
}

// CareUntil is until when each stanza is to be noted before it is handled, so that the next crash names its cause; in the past where there
// was no crash.
func (c Crashes) CareUntil() time.Time {
	if c.count == 0 {
		return time.Time{}
	}
	return c.last.Add(forgottenAfter)
}

// HeldFor is how long the account must not connect; 0 where it may.
func (c Crashes) HeldFor() time.Duration {
	if c.unexplained < unexplainedMost && c.count < crashesMost {
		return 0
	}
	return max(c.left(), 0)
}

func (c Crashes) left() time.Duration { return time.Until(c.last.Add(forgottenAfter)) }

// InHand notes the stanza that is about to be handled; empty when it was.
func InHand(ctx context.Context, db *database.Database, account, name string) error {
	_, err := db.SQL.ExecContext(ctx, `UPDATE engine_crashes SET in_hand = $1 WHERE account_id = $2`, name, account)
	return err
}

type reader interface {
	QueryRowContext(ctx context.Context, query string, arguments ...any) *sql.Row
}

func read(ctx context.Context, from reader, account string) (crashes Crashes, inHand string, err error) {
	const query = `SELECT crashes, unexplained, crashed_ms, in_hand FROM engine_crashes WHERE account_id = $1`
	var lastMs int64
	err = from.QueryRowContext(ctx, query, account).Scan(&crashes.count, &crashes.unexplained, &lastMs, &inHand)
	if errors.Is(err, sql.ErrNoRows) {
		return Crashes{}, "", nil
	}
	crashes.last = time.UnixMilli(lastMs)
	if crashes.left() <= 0 {
		return Crashes{}, "", err
	}
	return crashes, inHand, err
}
