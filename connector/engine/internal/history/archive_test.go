package history

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"threadline/engine/internal/database"
	"threadline/engine/internal/settings"
	"threadline/engine/internal/term"
)

const (
	shop  = "shop"
	other = "other"
)

func TestAPartIsKeptWholeAndOnce(t *testing.T) {
	db := openDatabase(t)
	archive := Open(db, shop, 10<<20)
	content := make([]byte, 3*chunkBytes+17)
	for place := range content {
		content[place] = byte(place * 7)
	}
	for range 2 { // after an error it is kept once more
		if dropped, err := archive.Keep(owned(t, shop), Part{Digest: "a", Type: "RECENT", Order: 4, Notification: []byte("n"), Content: content}); err != nil || dropped.Parts != 0 {
			t.Fatal(dropped, err)
		}
	}
	if got := contentOf(t, db, shop, "a"); !bytes.Equal(got, content) {
		t.Errorf("%d bytes, or other ones, of %d", len(got), len(content))
	}
	if got := digests(t, db, shop); !slices.Equal(got, []string{"a"}) {
		t.Errorf("kept %v", got)
	}
}

func TestTheOldestPartsMakeRoom(t *testing.T) {
	db := openDatabase(t)
	archive, others := Open(db, shop, 1000), Open(db, other, 1000)
	now := time.Now()
	archive.now = func() time.Time { return now }
	keep(t, others, other, "theirs", 900)
	for number := range 5 {
		now = now.Add(time.Second)
		keep(t, archive, shop, fmt.Sprint(number), 300)
	}
	now = now.Add(time.Second)
	if dropped := keep(t, archive, shop, "large", 600); dropped != (Dropped{Parts: 2, Bytes: 600}) {
		t.Errorf("dropped %v", dropped)
	}
	if got := digests(t, db, shop); !slices.Equal(got, []string{"4", "large"}) {
		t.Errorf("kept %v", got)
	}
	if dropped := keep(t, archive, shop, "larger than all", 1001); dropped != (Dropped{Parts: 1, Bytes: 1001}) {
		t.Errorf("dropped %v", dropped)
	}
	if got := digests(t, db, shop); !slices.Equal(got, []string{"4", "large"}) {
		t.Errorf("kept %v", got)
	}
	if got := digests(t, db, other); !slices.Equal(got, []string{"theirs"}) {
		t.Errorf("kept of another account %v", got)
	}
	for _, digest := range []string{"0", "3"} {
		if left := contentOf(t, db, shop, digest); len(left) > 0 {
			t.Errorf("%d bytes are left of %s", len(left), digest)
		}
	}
}

func TestAPartIsKeptForItsTime(t *testing.T) {
	db := openDatabase(t)
	archive := Open(db, shop, 1000)
	now := time.Now()
	archive.now = func() time.Time { return now }
	keep(t, archive, shop, "old", 100)
	now = now.Add(keepFor / 2)
	keep(t, archive, shop, "newer", 100)
	now = now.Add(keepFor/2 - time.Second)
	if dropped, err := archive.Prune(owned(t, shop)); err != nil || dropped.Parts != 0 {
		t.Fatal(dropped, err)
	}
	now = now.Add(2 * time.Second)
	if dropped, err := archive.Prune(owned(t, shop)); err != nil || dropped != (Dropped{Parts: 1, Bytes: 100}) {
		t.Fatal(dropped, err)
	}
	if got := digests(t, db, shop); !slices.Equal(got, []string{"newer"}) {
		t.Errorf("kept %v", got)
	}
}

func TestNothingIsLeftOfAnAccountThatIsForgotten(t *testing.T) {
	db := openDatabase(t)
	archive, others := Open(db, shop, 1000), Open(db, other, 1000)
	keep(t, archive, shop, "ours", 100)
	keep(t, others, other, "theirs", 100)
	if err := archive.Forget(owned(t, shop)); err != nil {
		t.Fatal(err)
	}
	if got := append(digests(t, db, shop), digests(t, db, other)...); !slices.Equal(got, []string{"theirs"}) {
		t.Errorf("kept %v", got)
	}
	if left := contentOf(t, db, shop, "ours"); len(left) > 0 {
		t.Errorf("%d bytes are left", len(left))
	}
}

func TestNothingIsKeptByAFormerOwner(t *testing.T) {
	db := openDatabase(t)
	claim(t, db, shop, 2)
	archive := Open(db, shop, 1000)
	if _, err := archive.Keep(owned(t, shop), Part{Digest: "late", Content: make([]byte, 100)}); err == nil {
		t.Error("it was kept")
	}
	if got := digests(t, db, shop); len(got) > 0 {
		t.Errorf("kept %v", got)
	}
}

func keep(t *testing.T, archive *Archive, account, digest string, size int) Dropped {
	t.Helper()
	dropped, err := archive.Keep(owned(t, account), Part{Digest: digest, Type: "RECENT", Notification: []byte("n"), Content: make([]byte, size)})
	if err != nil {
		t.Fatal(err)
	}
	return dropped
}

func owned(t *testing.T, account string) context.Context {
	return term.With(t.Context(), term.New(account, 1, term.Now()+60_000))
}

func digests(t *testing.T, db *database.Database, account string) (found []string) {
	t.Helper()
	rows, err := db.SQL.QueryContext(t.Context(), `SELECT digest FROM engine_history_parts WHERE account_id = $1 ORDER BY kept_ms, digest`, account)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var digest string
		if err := rows.Scan(&digest); err != nil {
			t.Fatal(err)
		}
		found = append(found, digest)
	}
	return found
}

func contentOf(t *testing.T, db *database.Database, account, digest string) (content []byte) {
	t.Helper()
	rows, err := db.SQL.QueryContext(t.Context(), `SELECT content FROM engine_history_chunks WHERE account_id = $1 AND digest = $2 ORDER BY place`, account, digest)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var chunk []byte
		if err := rows.Scan(&chunk); err != nil {
			t.Fatal(err)
		}
		content = append(content, chunk...)
	}
	return content
}

func openDatabase(t *testing.T) *database.Database {
	t.Helper()
	store := settings.Store{Kind: settings.SQLite, Address: filepath.Join(t.TempDir(), "store.db")}
	db, err := database.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	claim(t, db, shop, 1)
	claim(t, db, other, 1)
	return db
}

func claim(t *testing.T, db *database.Database, account string, epoch int) {
	t.Helper()
	const claim = `INSERT INTO engine_accounts (account_id, epoch) VALUES ($1, $2) ON CONFLICT (account_id) DO UPDATE SET epoch = excluded.epoch`
	if _, err := db.SQL.ExecContext(database.Unowned(t.Context()), claim, account, epoch); err != nil {
		t.Fatal(err)
	}
}
