package backup

import (
	"slices"
	"testing"

	"threadline/engine/internal/database"
	"threadline/engine/internal/settings"
)

// A table that is added to the store, here or by whatsmeow, belongs into the backup.
func TestABackupHoldsEveryTableOfTheStore(t *testing.T) {
	store := settings.Store{Kind: settings.SQLite, Address: t.TempDir() + "/store.db"}
	db, err := database.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	reading, err := database.OpenReading(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	snapshot, err := reading.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Rollback()
	found, err := names(t.Context(), snapshot, store.Kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if !slices.Contains(found, table) {
			t.Errorf("%s is no table of the store", table)
		}
	}
}
