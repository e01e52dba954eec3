// Package outbound carries an account's sends out, one after the other, and says of each what its end proves.
package outbound

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/types"

	"threadline/engine/internal/term"
)

// Request is a text for a person, under an id that stays the same in every attempt.
type Request struct {
	Chat types.JID
	ID   string
	Text string
	// NotAfter: no frame leaves after it.
	NotAfter time.Time
	// Deadline: the send has ended by then, whatever its end proves.
	Deadline time.Time
}

var (
	errTooLate     = errors.New("the time for the frame has passed")
	errNoRecipient = errors.New("the message is encrypted for no device of its recipient")
	errClosed      = errors.New("the session is closed")
	errAbandoned   = errors.New("the send's deadline has passed")
)

// way is how far a frame has come.
type way int

const (
	preparing way = iota
	atSocket      // shown by whatsmeow, about to be written
	left          // written, or being written: what comes of it only WhatsApp knows
	stopped       // refused in the last moment: it was not written
)

// ack is WhatsApp's word on a message.
type ack struct {
	at   time.Time
	code string // empty: taken
}

// attempt is one send under way. It is asked, through the context that it gives to whatsmeow, whether its frame may be written.
type attempt struct {
	request Request
	owner   *term.Term
	done    chan struct{} // closed when `result` stands
	result  Result

	mu      sync.Mutex
	way     way
	refusal error
	ack     *ack
	held    func() // lets go of what is held until the frame is at the socket
}

func newAttempt(request Request, owner *term.Term) *attempt {
	return &attempt{request: request, owner: owner, done: make(chan struct{})}
}

// refuse keeps the frame from being written, unless it has been.
func (a *attempt) refuse(why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refusal == nil {
		a.refusal = why
	}
}

// reach says that the frame is about to go to the socket. `recipients` counts the recipient's devices that can read it.
func (a *attempt) reach(recipients int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.way != preparing {
		return
	}
	a.way = atSocket
	if recipients == 0 && a.refusal == nil {
		a.refusal = errNoRecipient
	}
}

// permit is the last look before the frame is written: whatsmeow asks its context on the sending thread, holding the socket's write
// lock, directly before it encrypts and writes. What is refused here has not left, and that is the proof of it.
func (a *attempt) permit(now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refusal == nil && now.After(a.request.NotAfter) {
		a.refusal = errTooLate
	}
	if a.refusal == nil && a.owner.Err() != nil {
		a.refusal = errClosed
	}
	if a.way == atSocket {
		if a.refusal != nil {
			a.way = stopped
		} else {
			a.way = left
		}
	}
	return a.refusal
}

// hold keeps something until the frame is at the socket, or the send has ended.
func (a *attempt) hold(release func()) {
	a.letGo()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = release
}

func (a *attempt) letGo() {
	a.mu.Lock()
	held := a.held
	a.held = nil
	a.mu.Unlock()
	if held != nil {
		held()
	}
}

func (a *attempt) acknowledge(word ack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ack == nil {
		a.ack = &word
	}
}

// seen is what is known of the frame and its ack.
func (a *attempt) seen() (frame way, word *ack, refusal error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.way, a.ack, a.refusal
}

// permittedContext is the context of one send: it has ended, too, as soon as the frame may not be written any more.
type permittedContext struct {
	context.Context
	attempt *attempt
}

type attemptKey struct{}

func (c permittedContext) Value(key any) any {
	if key == (attemptKey{}) {
		return c.attempt
	}
	return c.Context.Value(key)
}

// UntilFrame has something released when the frame of the context's send is at the socket, or the send has ended. It answers false where
// the context is no send's.
func UntilFrame(ctx context.Context, release func()) bool {
	sending, found := ctx.Value(attemptKey{}).(*attempt)
	if found {
		sending.hold(release)
	}
	return found
}

func (c permittedContext) Err() error {
	if err := c.attempt.permit(time.Now()); err != nil {
		return err
	}
	return c.Context.Err()
}
