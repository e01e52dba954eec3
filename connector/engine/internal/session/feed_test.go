package session

import (
	"context"
	"path/filepath"
	"testing"

	"threadline/engine/contract"
	"threadline/engine/internal/accounts"
	"threadline/engine/internal/database"
	"threadline/engine/internal/inbox"
	"threadline/engine/internal/settings"
	"threadline/engine/internal/term"
)

const owner = "shop"

func TestWhatIsToldAboutASessionDoesNotWaitForItsEvents(t *testing.T) {
	told := openFeed(t)
	appendEvents(t, told, 2)
	told.tell(state(connectedState))
	got := handedOver(t, told, 3)
	if got[0].GetSession() == nil || got[1].Sequence != 1 || got[2].Sequence != 2 {
		t.Errorf("handed over %v", got)
	}
}

func TestTheLinkOfANewNumberIsToldBetweenTheEventsOfBoth(t *testing.T) {
	told := openFeed(t)
	const former = batchSize + 3 // more than are read at once
	appendEvents(t, told, former)
	told.fence()
	told.tell(&contract.Event{Kind: &contract.Event_PairingEnded{PairingEnded: &contract.PairingEnded{}}})
	told.tell(state(connectedState))
	appendEvents(t, told, 2)
	got := handedOver(t, told, former+4)
	for place, event := range got {
		switch {
		case place < former && event.Sequence != uint64(place+1):
			t.Fatalf("at %d stands %v, want an event of the former number", place, event)
		case place == former && event.GetPairingEnded() == nil:
			t.Fatalf("at %d stands %v, want the pairing's end", place, event)
		case place == former+1 && event.GetSession() == nil:
			t.Fatalf("at %d stands %v, want the session's state", place, event)
		case place > former+1 && event.Sequence != uint64(place-1):
			t.Fatalf("at %d stands %v, want an event of the new number", place, event)
		}
	}
}

func TestLargeEventsAreHandedOverByAndBy(t *testing.T) {
	told := openFeed(t)
	const events = 5
	for range events {
		large := &contract.Event{Wire: make([]byte, batchBytes)}
		if err := told.box.Append(term.With(t.Context(), term.New(owner, 1, term.Now()+60_000)), large); err != nil {
			t.Fatal(err)
		}
	}
	for place, event := range handedOver(t, told, events) {
		if event.Sequence != uint64(place+1) {
			t.Errorf("at %d stands event %d", place, event.Sequence)
		}
	}
}

func TestAnEndedStreamHandsOverWhatItWasTold(t *testing.T) {
	told := openFeed(t)
	stream := told.attach()
	told.tell(state(contract.SessionChanged_REPLACED))
	told.end()
	var got []*contract.Event
	err := stream.Run(context.Background(), func(event *contract.Event) error {
		got = append(got, event)
		return nil
	})
	if err != nil || len(got) != 1 || got[0].GetSession().GetState() != contract.SessionChanged_REPLACED {
		t.Errorf("handed over %v, %v", got, err)
	}
}

func TestAStreamWhoseInboxCannotBeReadSaysSoUntilItCan(t *testing.T) {
	told, db := openFeedOn(t)
	told.tell(state(connectedState))
	var got []*contract.SessionChanged
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := told.attach().Run(ctx, func(event *contract.Event) error {
		got = append(got, event.GetSession())
		switch len(got) {
		case 1:
			rename(t, db, "engine_inbox", "away")
			told.more()
		case 2:
			rename(t, db, "away", "engine_inbox")
		case 3:
			cancel()
		}
		return nil
	})
	if err != context.Canceled {
		t.Fatal(err)
	}
	if failed := got[1]; failed.GetState() != contract.SessionChanged_RECONNECTING || failed.GetReason() != "store_failed" {
		t.Errorf("told %v of the outage", failed)
	}
	if got[2].GetState() != connectedState {
		t.Errorf("told %v after it", got[2])
	}
}

func rename(t *testing.T, db *database.Database, from, to string) {
	t.Helper()
	ctx := term.With(t.Context(), term.New(owner, 1, term.Now()+60_000))
	if _, err := db.SQL.ExecContext(ctx, "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
		t.Fatal(err)
	}
}

func openFeed(t *testing.T) *feed {
	t.Helper()
	opened, _ := openFeedOn(t)
	return opened
}

func openFeedOn(t *testing.T) (*feed, *database.Database) {
	t.Helper()
	store := settings.Store{Kind: settings.SQLite, Address: filepath.Join(t.TempDir(), "sessions.db")}
	db, err := database.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := accounts.NewRegistry(db).Claim(t.Context(), term.New(owner, 1, term.Now()+60_000), 0); err != nil {
		t.Fatal(err)
	}
	opened := &feed{}
	opened.box, err = inbox.Open(t.Context(), db, owner, opened.more)
	if err != nil {
		t.Fatal(err)
	}
	return opened, db
}

func appendEvents(t *testing.T, to *feed, count int) {
	t.Helper()
	for range count {
		event := &contract.Event{Kind: &contract.Event_Message{Message: &contract.MessageReceived{WhatsappId: "A"}}}
		if err := to.box.Append(term.With(t.Context(), term.New(owner, 1, term.Now()+60_000)), event); err != nil {
			t.Fatal(err)
		}
	}
}

// handedOver gives the first events of a new stream.
func handedOver(t *testing.T, of *feed, count int) []*contract.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []*contract.Event
	err := of.attach().Run(ctx, func(event *contract.Event) error {
		if got = append(got, event); len(got) == count {
			cancel()
		}
		return nil
	})
	if err != context.Canceled {
		t.Fatal(err)
	}
	return got
}

func state(of contract.SessionChanged_State) *contract.Event {
	return &contract.Event{Kind: &contract.Event_Session{Session: &contract.SessionChanged{State: of}}}
}
