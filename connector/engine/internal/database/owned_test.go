package database

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"threadline/engine/internal/settings"
	"threadline/engine/internal/term"
)

const (
	insert = `INSERT INTO engine_inbox (account_id, sequence, event) VALUES ('shop', $1, 'x')`
	claim  = `INSERT INTO engine_accounts (account_id, epoch) VALUES ('shop', $1)
		ON CONFLICT (account_id) DO UPDATE SET epoch = excluded.epoch`
)

// Where a term can end: before a transaction, a statement, a commit. Each is refused on its own, and nothing of it stands.
func TestNothingIsWrittenFromTheTermsEndOn(t *testing.T) {
	for name, write := range map[string]func(db *Database, ctx context.Context, end func()) error{
		"a single write": func(db *Database, ctx context.Context, end func()) error {
			end()
			_, err := db.SQL.ExecContext(ctx, insert, 1)
			return err
		},
		"a transaction": func(db *Database, ctx context.Context, end func()) error {
			end()
			transaction, err := db.SQL.BeginTx(ctx, nil)
			if err == nil {
				_ = transaction.Rollback()
			}
			return err
		},
		"a statement within one": func(db *Database, ctx context.Context, end func()) error {
			transaction, err := db.SQL.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = transaction.Rollback() }()
			end()
			_, err = transaction.ExecContext(ctx, insert, 1)
			return err
		},
		"its commit": func(db *Database, ctx context.Context, end func()) error {
			transaction, err := db.SQL.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			if _, err := transaction.ExecContext(ctx, insert, 1); err != nil {
				return err
			}
			end()
			return transaction.Commit()
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := openDatabase(t)
			owner := term.New("shop", 1, term.Now()+60_000)
			if err := write(db, term.With(t.Context(), owner), owner.End); !errors.Is(err, term.ErrOver) {
				t.Errorf("got %v", err)
			}
			if count(t, db) != 0 {
				t.Error("something was written")
			}
		})
	}
}

func TestAnOwnerWhoseEpochIsStaleWritesNothingAndKnowsIt(t *testing.T) {
	db := openDatabase(t)
	owner := term.New("shop", 1, term.Now()+60_000)
	ctx := term.With(t.Context(), owner)
	if _, err := db.SQL.ExecContext(ctx, insert, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := db.SQL.ExecContext(Unowned(t.Context()), claim, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := db.SQL.ExecContext(ctx, insert, 2); !errors.Is(err, term.ErrStale) {
		t.Errorf("got %v", err)
	}
	if count(t, db) != 1 || !errors.Is(owner.Err(), term.ErrStale) {
		t.Error("goes on")
	}
}

func TestAWriteThatIsNobodysIsRefused(t *testing.T) {
	db := openDatabase(t)
	if _, err := db.SQL.ExecContext(t.Context(), insert, 1); !errors.Is(err, errNobodys) {
		t.Errorf("a single write: got %v", err)
	}
	if _, err := db.SQL.BeginTx(t.Context(), nil); !errors.Is(err, errNobodys) {
		t.Errorf("a transaction: got %v", err)
	}
}

func TestWhatWritesAndGivesRowsMustBeInATransaction(t *testing.T) {
	db := openDatabase(t)
	ctx := term.With(t.Context(), term.New("shop", 1, term.Now()+60_000))
	var given int64
	if err := db.SQL.QueryRowContext(ctx, insert+" RETURNING sequence", 1).Scan(&given); !errors.Is(err, errUnchecked) {
		t.Errorf("got %v", err)
	}
	if _, err := db.SQL.PrepareContext(ctx, insert); !errors.Is(err, errUnchecked) {
		t.Errorf("prepared: got %v", err)
	}
}

func openDatabase(t *testing.T) *Database {
	t.Helper()
	db, err := Open(t.Context(), settings.Store{Kind: settings.SQLite, Address: filepath.Join(t.TempDir(), "sessions.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.SQL.ExecContext(Unowned(t.Context()), claim, 1); err != nil {
		t.Fatal(err)
	}
	return db
}

func count(t *testing.T, db *Database) (rows int) {
	t.Helper()
	if err := db.SQL.QueryRowContext(t.Context(), "SELECT count(*) FROM engine_inbox").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}
