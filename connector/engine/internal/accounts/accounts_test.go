package accounts

import (
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
	db, err := database.Open(t.Context(), settings.Store{Kind: settings.SQLite, Address: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
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
