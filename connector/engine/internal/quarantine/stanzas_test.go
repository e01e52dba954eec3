package quarantine

import (
	"path/filepath"
	"testing"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"

	"threadline/engine/internal/database"
	"threadline/engine/internal/settings"
	"threadline/engine/internal/term"
)

func stanza(id string) *waBinary.Node {
	from := types.NewJID("40722222222", types.DefaultUserServer)
	return &waBinary.Node{Tag: "message", Attrs: waBinary.Attrs{"id": id, "from": from, "t": "1763950000"}}
}

func TestAStanzaHasTheSameNameWhenItComesAgain(t *testing.T) {
	again := stanza("A")
	again.Attrs["offline"] = "3"
	if NameOf(stanza("A")) != NameOf(again) {
		t.Error("the delivery is part of the name")
	}
	if NameOf(stanza("A")) == NameOf(stanza("B")) {
		t.Error("two stanzas have one name")
	}
}

func TestAStanzaIsIsolatedAfterTheSecondFailureOverRestarts(t *testing.T) {
	db := openDatabase(t)
	ctx := term.With(t.Context(), term.New("shop", 1, term.Now()+60_000))
	for failure, want := range []bool{false, true} {
		stanzas, err := OpenStanzas(ctx, db, "shop")
		if err != nil {
			t.Fatal(err)
		}
		if stanzas.Isolates(stanza("A")) {
			t.Errorf("isolated after %d failures", failure)
		}
		isIsolated, err := stanzas.Failed(ctx, NameOf(stanza("A")), "panic")
		if err != nil || isIsolated != want || stanzas.Isolates(stanza("A")) != want || stanzas.Isolates(stanza("B")) {
			t.Errorf("failure %d: isolated %v, %v", failure+1, isIsolated, err)
		}
	}
}

func TestTheSecondCrashIsolatesTheStanzaInHand(t *testing.T) {
	db := openDatabase(t)
	ctx := term.With(t.Context(), term.New("shop", 1, term.Now()+60_000))
	noteCrash(t, db)
	if until := crashes(t, db).CareUntil(); time.Until(until) < 50*time.Minute {
		t.Errorf("care ends at %v", until)
	}
	if err := InHand(ctx, db, "shop", NameOf(stanza("A"))); err != nil {
		t.Fatal(err)
	}
	noteCrash(t, db)
	stanzas, err := OpenStanzas(ctx, db, "shop")
	if err != nil || !stanzas.Isolates(stanza("A")) {
		t.Errorf("it is not isolated: %v", err)
	}
	if held := crashes(t, db).HeldFor(); held != 0 {
		t.Errorf("the account is held for %v, although the cause is known", held)
	}
}

func TestAnAccountIsHeldAfterTwoCrashesWithoutAStanzaOrFourWithOne(t *testing.T) {
	for name, inHand := range map[string]string{"without": "", "with": "A"} {
		t.Run(name, func(t *testing.T) {
			db := openDatabase(t)
			ctx := term.With(t.Context(), term.New("shop", 1, term.Now()+60_000))
			most := map[string]int{"": 2, "A": 4}[inHand]
			for crash := 1; crash <= most; crash++ {
				noteCrash(t, db)
				if held := crashes(t, db).HeldFor() > 0; held != (crash == most) {
					t.Errorf("after crash %d: held %v", crash, held)
				}
				if err := InHand(ctx, db, "shop", inHand); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// What every stanza costs where nothing has failed.
func BenchmarkNothingIsIsolated(b *testing.B) {
	stanzas, node := &Stanzas{failures: map[string]int{}}, stanza("A")
	for b.Loop() {
		stanzas.Isolates(node)
	}
}

// What every stanza costs where some stanza of the account has failed in the last 30 days.
func BenchmarkSomethingHasFailed(b *testing.B) {
	stanzas, node := &Stanzas{failures: map[string]int{"other": 1}}, stanza("A")
	for b.Loop() {
		stanzas.Isolates(node)
	}
}

func openDatabase(t *testing.T) *database.Database {
	t.Helper()
	db, err := database.Open(t.Context(), settings.Store{Kind: settings.SQLite, Address: filepath.Join(t.TempDir(), "sessions.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	const claim = `INSERT INTO engine_accounts (account_id, epoch) VALUES ('shop', 1)`
	if _, err := db.SQL.ExecContext(database.Unowned(t.Context()), claim); err != nil {
		t.Fatal(err)
	}
	return db
}

func noteCrash(t *testing.T, db *database.Database) {
	t.Helper()
	if err := NoteCrash(t.Context(), db, "shop"); err != nil {
		t.Fatal(err)
	}
}

func crashes(t *testing.T, db *database.Database) Crashes {
	t.Helper()
	found, err := CrashesOf(t.Context(), db, "shop")
	if err != nil {
		t.Fatal(err)
	}
	return found
}
