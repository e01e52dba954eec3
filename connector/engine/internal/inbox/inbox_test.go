package inbox_test

import (
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"threadline/engine/contract"
	"threadline/engine/internal/accounts"
	"threadline/engine/internal/database"
	"threadline/engine/internal/inbox"
	"threadline/engine/internal/settings"
	"threadline/engine/internal/term"
)

const owner = "shop"

func TestAReadStopsAtItsLimitOfBytes(t *testing.T) {
	for name, test := range map[string]struct {
		texts       []int // lengths
		limit       int
		limitBytes  int
		wantEvents  int
		wantToldAll bool
	}{
		"all fit":                           {texts: []int{10, 10, 10}, limit: 5, limitBytes: 1000, wantEvents: 3, wantToldAll: true},
		"as many as may be read":            {texts: []int{10, 10, 10}, limit: 2, limitBytes: 1000, wantEvents: 2},
		"the one that passes the limit too": {texts: []int{600, 600, 600}, limit: 5, limitBytes: 1000, wantEvents: 2},
		"the first, however large":          {texts: []int{5000, 10}, limit: 5, limitBytes: 1000, wantEvents: 1},
		"nothing":                           {limit: 5, limitBytes: 1000, wantToldAll: true},
	} {
		t.Run(name, func(t *testing.T) {
			box := openInbox(t)
			for _, length := range append([]int{2000}, test.texts...) { // the first is read already
				appendText(t, box, strings.Repeat("x", length))
			}
			got, more, err := box.After(t.Context(), 1, test.limit, test.limitBytes)
			if err != nil || len(got) != test.wantEvents || more == test.wantToldAll {
				t.Fatalf("%d events, more: %v, %v", len(got), more, err)
			}
			for place, event := range got {
				if event.GetSequence() != uint64(place+2) || len(event.GetWire()) != test.texts[place] {
					t.Errorf("at %d stands event %d of %d bytes", place, event.GetSequence(), proto.Size(event))
				}
			}
		})
	}
}

func appendText(t *testing.T, box *inbox.Inbox, text string) {
	t.Helper()
	if err := box.Append(term.With(t.Context(), term.New(owner, 1, term.Now()+60_000)), &contract.Event{Wire: []byte(text)}); err != nil {
		t.Fatal(err)
	}
}

func openInbox(t *testing.T) *inbox.Inbox {
	t.Helper()
	store := settings.Store{Kind: settings.SQLite, Address: filepath.Join(t.TempDir(), "store.db")}
	db, err := database.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := accounts.NewRegistry(db).Claim(t.Context(), term.New(owner, 1, term.Now()+60_000), 0); err != nil {
		t.Fatal(err)
	}
	box, err := inbox.Open(t.Context(), db, owner, func() {})
	if err != nil {
		t.Fatal(err)
	}
	return box
}
