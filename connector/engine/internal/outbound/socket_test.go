package outbound

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.mau.fi/whatsmeow/socket"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// What a send's end proves rests on whatsmeow's socket asking the context directly before it writes, and on nobody asking in between.
// These tests hold whatsmeow to that: they fail with a version that does otherwise.

func TestTheSocketAsksBeforeItWrites(t *testing.T) {
	for name, c := range map[string]struct {
		notAfter time.Time
		want     error
		frame    way
	}{
		"in time":  {time.Now().Add(time.Minute), socket.ErrSocketClosed, left}, // it tried: nobody is connected
		"too late": {time.Now().Add(-time.Millisecond), errTooLate, stopped},
	} {
		t.Run(name, func(t *testing.T) {
			attempt := newAttempt(Request{NotAfter: c.notAfter}, lasting())
			attempt.reach(1)
			err := closedSocket(t).SendFrame(permittedContext{Context: context.Background(), attempt: attempt}, []byte("frame"))
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if frame, _, _ := attempt.seen(); frame != c.frame {
				t.Errorf("the frame is %v, want %v", frame, c.frame)
			}
		})
	}
}

func TestTheSocketAsksWhenItIsItsTurnToWrite(t *testing.T) {
	written := closedSocket(t)
	attempt := newAttempt(Request{NotAfter: time.Now().Add(30 * time.Millisecond)}, lasting())
	attempt.reach(1)
	release := make(chan struct{})
	holding := make(chan struct{})
	go func() { // another frame holds the socket's write lock while the time passes
		_ = written.SendFrame(&slow{Context: context.Background(), holding: holding, release: release}, []byte("another"))
	}()
	<-holding
	ended := make(chan error, 1)
	go func() {
		ended <- written.SendFrame(permittedContext{Context: context.Background(), attempt: attempt}, []byte("frame"))
	}()
	time.Sleep(time.Until(attempt.request.NotAfter) + time.Millisecond)
	close(release)
	if err := <-ended; !errors.Is(err, errTooLate) {
		t.Errorf("got %v, want %v", err, errTooLate)
	}
	if frame, _, _ := attempt.seen(); frame != stopped {
		t.Errorf("the frame is %v, want stopped", frame)
	}
}

// slow is a context that takes its time to answer.
type slow struct {
	context.Context
	holding, release chan struct{}
	asked            sync.Once
}

func (s *slow) Err() error {
	s.asked.Do(func() { close(s.holding) })
	<-s.release
	return errors.New("no")
}

func closedSocket(t *testing.T) *socket.NoiseSocket {
	t.Helper()
	handshake := socket.NewNoiseHandshake()
	handshake.Start(socket.NoiseStartPattern, []byte{})
	frames := socket.NewFrameSocket(waLog.Noop, http.DefaultClient)
	opened, err := handshake.Finish(frames, func(context.Context, []byte) {}, func(context.Context, *socket.NoiseSocket, bool) {})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}
