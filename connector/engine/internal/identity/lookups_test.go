package identity

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.mau.fi/whatsmeow/types"
)

type asked struct {
	count int
	found types.JID
	err   error
}

func (a *asked) ask(context.Context, types.JID) (types.JID, error) {
	a.count++
	return a.found, a.err
}

func numberOf(place int) types.JID {
	return types.NewJID(fmt.Sprintf("407000%05d", place), types.DefaultUserServer)
}

func lookupsAt(now *time.Time) *Lookups {
	lookups := NewLookups()
	lookups.now = func() time.Time { return *now }
	return lookups
}

func TestANumberWithoutALIDIsLookedUp(t *testing.T) {
	server := &asked{found: lid}
	got := Of(context.Background(), NewLookups().Through(nothingKnown{}, server.ask), number, types.EmptyJID)
	if want := (Names{number, lid}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhatWasLearntIsNotAskedFor(t *testing.T) {
	server := &asked{}
	Of(context.Background(), NewLookups().Through(known{}, server.ask), number, types.EmptyJID)
	if server.count != 0 {
		t.Errorf("asked %d times", server.count)
	}
}

func TestAnAnswerWithoutALIDIsRememberedForAnHour(t *testing.T) {
	now, server := time.Now(), &asked{}
	mapping := lookupsAt(&now).Through(nothingKnown{}, server.ask)
	for range 3 {
		Of(context.Background(), mapping, number, types.EmptyJID)
	}
	if server.count != 1 {
		t.Fatalf("asked %d times within the hour", server.count)
	}
	now = now.Add(time.Hour)
	Of(context.Background(), mapping, number, types.EmptyJID)
	if server.count != 2 {
		t.Errorf("asked %d times after the hour", server.count)
	}
}

func TestAServerThatDoesNotAnswerIsNotAskedForAMinute(t *testing.T) {
	now, server := time.Now(), &asked{err: errors.New("timed out")}
	mapping := lookupsAt(&now).Through(nothingKnown{}, server.ask)
	for place := range 5 {
		Of(context.Background(), mapping, numberOf(place), types.EmptyJID)
	}
	if server.count != 1 {
		t.Errorf("asked %d times", server.count)
	}
}

func TestManyNumbersAreLookedUpAtABoundedRate(t *testing.T) {
	now, server := time.Now(), &asked{found: lid}
	mapping := lookupsAt(&now).Through(nothingKnown{}, server.ask)
	for place := range 100 {
		Of(context.Background(), mapping, numberOf(place), types.EmptyJID)
	}
	if server.count != 20 {
		t.Fatalf("asked %d times at once", server.count)
	}
	now = now.Add(5 * time.Minute)
	for place := range 100 {
		Of(context.Background(), mapping, numberOf(place), types.EmptyJID)
	}
	if server.count != 30 {
		t.Errorf("asked %d times after five minutes more", server.count)
	}
}
