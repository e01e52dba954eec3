package accounts

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"threadline/engine/internal/database"
	"threadline/engine/internal/settings"
	"threadline/engine/internal/term"
)

// The owner remembers the mark that a claim answers. After a power cut a store that had lost the claim would look like an older one, and
// the account would have to be paired again.
func TestAClaimIsOnTheDiskBeforeItsOwnerIsToldTheMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := openDatabase(t, path)
	registry := NewRegistry(db)
	if _, err := registry.Claim(t.Context(), term.New("shop", 1, term.Now()+60_000), 0); err != nil {
		t.Fatal(err)
	}
	// SQLite goes on in the log that it has open; a flush does not find it.
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Claim(t.Context(), term.New("shop", 2, term.Now()+60_000), 0); err == nil {
		t.Fatal("the claim was answered although it could not be flushed")
	}
}

// It waits for whoever holds the account, for seconds. The next owner may have claimed the lease by then.
func TestAClaimThatWaitedPastItsTermDoesNotStand(t *testing.T) {
	db := openDatabase(t, filepath.Join(t.TempDir(), "store.db"))
	held, err := db.SQL.BeginTx(database.Unowned(t.Context()), nil)
	if err != nil {
		t.Fatal(err)
	}
	const hold = `INSERT INTO engine_accounts (account_id, epoch) VALUES ('other', 1)`
	if _, err := held.ExecContext(database.Unowned(t.Context()), hold); err != nil {
		t.Fatal(err)
	}
	owner, claimed := term.New("shop", 7, term.Now()+60_000), make(chan error)
	go func() {
		_, err := NewRegistry(db).Claim(t.Context(), owner, 0)
		claimed <- err
	}()
	owner.End()
	if err := held.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-claimed; !errors.Is(err, term.ErrOver) {
		t.Errorf("got %v", err)
	}
	var standing int
	const count = `SELECT COUNT(*) FROM engine_accounts WHERE account_id = 'shop'`
	if err := db.SQL.QueryRowContext(t.Context(), count).Scan(&standing); err != nil || standing != 0 {
		t.Errorf("it stands (%d), or %v", standing, err)
	}
}

func openDatabase(t *testing.T, path string) *database.Database {
	t.Helper()
	db, err := database.Open(t.Context(), settings.Store{Kind: settings.SQLite, Address: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
