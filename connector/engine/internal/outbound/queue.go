package outbound

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"

	"threadline/engine/contract"
	"threadline/engine/internal/failpoint"
	"threadline/engine/internal/pace"
	"threadline/engine/internal/term"
)

// abandonAfter is what whatsmeow is given to come back when a send's time is over. It has waits that no context ends.
const abandonAfter = 100 * time.Millisecond

var errPanicked = errors.New("whatsmeow panicked")

// Client is what of whatsmeow a send needs.
type Client interface {
	SendMessage(ctx context.Context, to types.JID, message *waE2E.Message, extra ...whatsmeow.SendRequestExtra) (whatsmeow.SendResponse, error)
	IsOnWhatsApp(ctx context.Context, phones []string) ([]types.IsOnWhatsAppResponse, error)
}

// Queue sends for one account, in the order of the calls.
type Queue struct {
	owner *term.Term
	// connected gives the client while the session is connected, else nil.
	connected func() Client
	timerOf   TimerOf

	mu       sync.Mutex
	waiting  []*attempt
	underWay map[string]*attempt
	unknown  *unanswered
	running  bool
	closed   bool
}

// NewQueue makes an account's queue, for an owner's term.
func NewQueue(owner *term.Term, connected func() Client, timerOf TimerOf) *Queue {
	return &Queue{owner: owner, connected: connected, timerOf: timerOf, underWay: map[string]*attempt{}, unknown: newUnanswered()}
}

// Send waits for the send's end, or for the caller's: the send goes on without its caller. The same id under way is joined.
func (q *Queue) Send(ctx context.Context, request Request) (Result, error) {
	joined := q.join(request)
	if joined == nil {
		return notConnected, nil
	}
	select {
	case <-joined.done:
		return joined.result, nil
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// Close ends what has not left, and takes no more.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, attempt := range q.underWay {
		attempt.refuse(errClosed)
	}
}

// Sending is shown a message's node just before it goes to the socket.
func (q *Queue) Sending(id string, recipients int) {
	q.mu.Lock()
	attempt := q.underWay[id]
	q.mu.Unlock()
	if attempt == nil {
		return
	}
	attempt.letGo()
	attempt.reach(recipients)
	failpoint.PassWritten(failpoint.SendFrame)
}

// Refuse keeps a message's frame from being written.
func (q *Queue) Refuse(id string, why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if attempt := q.underWay[id]; attempt != nil {
		attempt.refuse(why)
	}
}

// Acknowledged is shown WhatsApp's ack of a message: `code` is empty where it was taken. When its send had ended without it, the chat
// is given, for the receipt that tells it late.
func (q *Queue) Acknowledged(id, code string, at time.Time) (types.JID, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if attempt := q.underWay[id]; attempt != nil {
		attempt.acknowledge(ack{at: at, code: code})
		return types.JID{}, false
	}
	if code != "" {
		return types.JID{}, false
	}
	return q.unknown.take(id)
}

func (q *Queue) join(request Request) *attempt {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	if same := q.underWay[request.ID]; same != nil {
		return same
	}
	added := newAttempt(request, q.owner)
	q.underWay[request.ID] = added
	q.waiting = append(q.waiting, added)
	if !q.running { // an idle account costs no thread
		q.running = true
		go q.run()
	}
	return added
}

func (q *Queue) run() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.running = false
			q.waiting = nil
			q.mu.Unlock()
			return
		}
		next := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		result := q.carryOut(next)
		q.end(next, result)
	}
}

// end settles a send under the lock that acks come in under: an ack is either part of the result, or finds the send among the unanswered.
func (q *Queue) end(ended *attempt, result Result) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, word, _ := ended.seen(); word != nil && result.Outcome == contract.SendResponse_UNKNOWN {
		result = conclude(nil, left, nil, word)
	}
	if result.Outcome == contract.SendResponse_UNKNOWN {
		q.unknown.put(ended.request.ID, ended.request.Chat)
	}
	delete(q.underWay, ended.request.ID)
	ended.result = result
	close(ended.done)
}

func (q *Queue) carryOut(current *attempt) Result {
	request := current.request
	// The caller must have its answer within its deadline, however long the sends before this one took.
	ctx, cancel := context.WithDeadline(term.With(context.Background(), q.owner), request.Deadline)
	defer cancel()
	// An answer that is awaited before the frame is not worth waiting for when the frame may not leave any more.
	late := time.AfterFunc(time.Until(request.NotAfter), func() {
		current.refuse(errTooLate)
		if frame, _, _ := current.seen(); frame == preparing || frame == stopped {
			cancel()
		}
	})
	defer late.Stop()
	if err := current.permit(time.Now()); err != nil {
		return notSent(err, err)
	}
	if ctx.Err() != nil {
		return Result{Outcome: contract.SendResponse_NOT_SENT, Reason: reasonTimeout}
	}
	client := q.connected()
	if client == nil {
		return notConnected
	}
	timer, err := q.timerOf(ctx, request.Chat)
	if err != nil {
		return notSent(err, nil)
	}
	err = send(ctx, client, current, content(request, timer))
	if err == nil {
		failpoint.Pass(failpoint.SendAcked)
	}
	frame, word, refusal := current.seen()
	if isWithoutAccount(err) && request.Chat.Server == types.DefaultUserServer {
		return q.withoutAccount(ctx, client, request)
	}
	return conclude(err, frame, refusal, word)
}

// send has whatsmeow send, and waits no longer than the context says: what it has not written by then is refused for ever. Its ack, if it
// comes in time, is the attempt's.
func send(ctx context.Context, client Client, current *attempt, message *waE2E.Message) error {
	request := current.request
	ended := make(chan error, 1)
	go func() {
		defer func() {
			current.letGo()
			if recover() != nil {
				ended <- errPanicked
			}
		}()
		extra := whatsmeow.SendRequestExtra{ID: request.ID, Timeout: pace.Ack}
		response, err := client.SendMessage(permittedContext{Context: ctx, attempt: current}, request.Chat, message, extra)
		if err == nil {
			current.acknowledge(ack{at: response.Timestamp})
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	current.refuse(errAbandoned)
	select {
	case err := <-ended:
		return err
	case <-time.After(abandonAfter):
		current.letGo()
		return ctx.Err()
	}
}

// withoutAccount is the end of a send to a number for which WhatsApp names no LID: it is asked outright before the number is said to be
// on WhatsApp no more.
func (q *Queue) withoutAccount(ctx context.Context, client Client, request Request) Result {
	answers, err := client.IsOnWhatsApp(ctx, []string{"+" + request.Chat.User})
	if err == nil && len(answers) == 1 && !answers[0].IsIn {
		return Result{Outcome: contract.SendResponse_REJECTED, Reason: reasonNoAccount}
	}
	return Result{Outcome: contract.SendResponse_NOT_SENT, Reason: reasonEngine}
}

// isWithoutAccount knows the error by its words: whatsmeow has no value for it.
func isWithoutAccount(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "no LID found for ")
}
