package wanet

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"threadline/engine/internal/term"
)

const patience = 2 * time.Second

func TestNothingIsWrittenToASocketFromTheTermsEndOn(t *testing.T) {
	owner := term.New("shop", 1, term.Now()+60_000)
	ours, theirs := opened(t, term.With(t.Context(), owner))
	heard := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(theirs)
		heard <- all
	}()
	if _, err := ours.Write([]byte("in time")); err != nil {
		t.Fatal(err)
	}
	owner.End()
	if _, err := ours.Write([]byte("too late")); !errors.Is(err, term.ErrOver) {
		t.Errorf("got %v", err)
	}
	if all := <-heard; string(all) != "in time" {
		t.Errorf("written: %q", all)
	}
}

func TestAWriteThatWaitsEndsWithTheSession(t *testing.T) {
	session, end := context.WithCancel(term.With(t.Context(), term.New("shop", 1, term.Now()+60_000)))
	ours, _ := opened(t, session) // the other side does not read
	time.AfterFunc(20*time.Millisecond, end)
	if _, err := ours.Write([]byte("held up")); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
}

func opened(t *testing.T, session context.Context) (ours, theirs net.Conn) {
	t.Helper()
	ours, theirs = net.Pipe()
	_ = theirs.SetDeadline(time.Now().Add(patience))
	_ = ours.SetDeadline(time.Now().Add(patience))
	dial := func(context.Context, string, string) (net.Conn, error) { return ours, nil }
	fencedConnection, err := fenced(session, dial)(session, "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	return fencedConnection, theirs
}
