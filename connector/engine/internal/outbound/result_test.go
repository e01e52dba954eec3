package outbound

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.mau.fi/whatsmeow"

	"threadline/engine/contract"
	"threadline/engine/internal/term"
)

const (
	sent         = contract.SendResponse_SENT
	notSentOf    = contract.SendResponse_NOT_SENT
	rejected     = contract.SendResponse_REJECTED
	unknown      = contract.SendResponse_UNKNOWN
	expired      = contract.SendResponse_EXPIRED
	unconnected  = contract.SendResponse_NOT_CONNECTED
	nobodyReason = reasonNoRecipient
)

func TestASendsEndSaysWhatItProves(t *testing.T) {
	lost := &whatsmeow.DisconnectedError{Action: "message send"}
	cases := map[string]struct {
		err     error
		frame   way
		refusal error
		word    *ack
		outcome Outcome
		reason  string
	}{
		"an ack":                               {nil, left, nil, &ack{}, sent, ""},
		"an ack that came with the time-out":   {whatsmeow.ErrMessageTimedOut, left, nil, &ack{}, sent, ""},
		"an ack of an attempt before":          {lost, preparing, nil, &ack{}, sent, ""},
		"a refusal":                            {whatsmeow.ErrServerReturnedError, left, nil, &ack{code: "463"}, rejected, "463"},
		"a refusal that nobody else saw":       {fmt.Errorf("%w 479", whatsmeow.ErrServerReturnedError), left, nil, nil, rejected, "479"},
		"silence":                              {whatsmeow.ErrMessageTimedOut, left, nil, nil, unknown, reasonNoAck},
		"the deadline, with a frame":           {context.DeadlineExceeded, left, nil, nil, unknown, reasonNoAck},
		"a lost connection, with a frame":      {lost, left, nil, nil, unknown, reasonLost},
		"a socket that failed while it wrote":  {errors.New("failed to send message node: broken pipe"), left, nil, nil, unknown, reasonNoAck},
		"a frame of which nothing is known":    {errors.New("odd"), atSocket, nil, nil, unknown, reasonNoAck},
		"a lost connection, without a frame":   {lost, preparing, nil, nil, unconnected, ""},
		"no connection":                        {whatsmeow.ErrNotConnected, preparing, nil, nil, unconnected, ""},
		"a closed session":                     {context.Canceled, stopped, errClosed, nil, unconnected, ""},
		"its time passed in the last moment":   {fmt.Errorf("failed to send message node: %w", errTooLate), stopped, errTooLate, nil, expired, ""},
		"its time passed before":               {context.Canceled, preparing, errTooLate, nil, expired, ""},
		"nobody to read it":                    {errNoRecipient, stopped, errNoRecipient, nil, notSentOf, nobodyReason},
		"an unanswered question":               {fmt.Errorf("usync: %w", whatsmeow.ErrIQTimedOut), preparing, nil, nil, notSentOf, reasonTimeout},
		"the deadline, without a frame":        {context.DeadlineExceeded, preparing, nil, nil, notSentOf, reasonTimeout},
		"the store, before the frame":          {errors.New("failed to save cached sessions"), preparing, nil, nil, notSentOf, reasonEngine},
		"its time passed after the frame left": {context.DeadlineExceeded, left, errTooLate, nil, unknown, reasonNoAck},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := conclude(c.err, c.frame, c.refusal, c.word)
			if got.Outcome != c.outcome || got.Reason != c.reason {
				t.Errorf("got %v %q, want %v %q", got.Outcome, got.Reason, c.outcome, c.reason)
			}
		})
	}
}

func TestAFrameIsStoppedInTheLastMoment(t *testing.T) {
	now := time.Now()
	late := newAttempt(Request{NotAfter: now.Add(-time.Millisecond)}, lasting())
	late.reach(1)
	if err := late.permit(now); !errors.Is(err, errTooLate) {
		t.Errorf("permitted after its time: %v", err)
	}
	if frame, _, _ := late.seen(); frame != stopped {
		t.Errorf("the frame is %v, want stopped", frame)
	}
}

func TestAFrameThatWasPermittedHasLeft(t *testing.T) {
	now := time.Now()
	attempt := newAttempt(Request{NotAfter: now.Add(time.Second)}, lasting())
	if err := attempt.permit(now); err != nil {
		t.Fatal(err)
	}
	if frame, _, _ := attempt.seen(); frame != preparing {
		t.Errorf("the frame is %v before it was shown, want preparing", frame)
	}
	attempt.reach(1)
	if err := attempt.permit(now); err != nil {
		t.Fatal(err)
	}
	// What comes later undoes nothing: whoever asks again is told that the time has passed, and the frame has left all the same.
	if err := attempt.permit(now.Add(2 * time.Second)); !errors.Is(err, errTooLate) {
		t.Errorf("a second frame is permitted after the time: %v", err)
	}
	if frame, _, _ := attempt.seen(); frame != left {
		t.Errorf("the frame is %v, want left", frame)
	}
}

func TestAFrameThatNobodyCouldReadIsStopped(t *testing.T) {
	attempt := newAttempt(Request{NotAfter: time.Now().Add(time.Second)}, lasting())
	attempt.reach(0)
	if err := attempt.permit(time.Now()); !errors.Is(err, errNoRecipient) {
		t.Errorf("permitted: %v", err)
	}
}

func TestTheContextOfASendEndsWithItsTimeAndNotAMomentLater(t *testing.T) {
	attempt := newAttempt(Request{NotAfter: time.Now().Add(20 * time.Millisecond)}, lasting())
	ctx := permittedContext{Context: context.Background(), attempt: attempt}
	if ctx.Err() != nil {
		t.Fatal("ended before its time")
	}
	for time.Now().Before(attempt.request.NotAfter) {
	}
	time.Sleep(time.Microsecond)
	if !errors.Is(ctx.Err(), errTooLate) {
		t.Error("goes on after its time")
	}
}

func TestNoFrameOfATermThatIsOverIsPermitted(t *testing.T) {
	attempt := newAttempt(Request{NotAfter: time.Now().Add(time.Second)}, term.New("shop", 1, term.Now()))
	attempt.reach(1)
	if err := attempt.permit(time.Now()); !errors.Is(err, errClosed) {
		t.Errorf("permitted: %v", err)
	}
	if frame, _, _ := attempt.seen(); frame != stopped {
		t.Errorf("the frame is %v, want stopped", frame)
	}
}

func lasting() *term.Term { return term.New("shop", 1, term.Now()+60_000) }
