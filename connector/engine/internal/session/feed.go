package session

import (
	"context"
	"sync"
	"time"

	"threadline/engine/contract"
	"threadline/engine/internal/failpoint"
	"threadline/engine/internal/inbox"
	"threadline/engine/internal/journal"
)

const (
	batchSize = 256
	// batchBytes bounds what a stream holds in memory while the connector does not take it: with 500 streams that is 64 MiB.
	batchBytes = 128 << 10
	readAgain  = time.Second
	// toldAfter is how long the inbox cannot be read before that is told: nothing that happens reaches the connector meanwhile.
	toldAfter = 2 * time.Second
)

// feed is what the connector is told: the inbox's events, and between them what happens to the session, which is not kept.
type feed struct {
	box *inbox.Inbox
	log journal.Account

	mu      sync.Mutex
	present *contract.SessionChanged // nil while there is nothing to connect
	untold  []notice                 // what has happened since Open, until the first stream
	opened  bool                     // whether there was a stream
	barrier uint64
	current *Stream
}

// notice is an event that is handed over once. It must not overtake the events up to `after`.
type notice struct {
	event *contract.Event
	after uint64
}

// Stream is one Events call.
type Stream struct {
	feed    *feed
	notices []notice // under the feed's lock
	ended   bool     // under the feed's lock
	wake    chan struct{}
}

// tell hands a notice to the stream, or keeps it for the first one.
func (f *feed) tell(event *contract.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if changed := event.GetSession(); changed != nil {
		f.present = changed
	}
	told := notice{event: event, after: f.barrier}
	switch {
	case f.current != nil:
		f.current.notices = append(f.current.notices, told)
		f.current.rouse()
	case !f.opened:
		f.untold = append(f.untold, told)
	}
}

// fence keeps what is told from now on behind the events that stand: the connector tells another number's events by their place.
func (f *feed) fence() {
	last := f.box.Last()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.barrier = last
}

// forget says that there is nothing to connect any more.
func (f *feed) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.present = nil
}

// attach begins a stream and ends the one before. It begins with what was not told yet, or else with the present state.
func (f *feed) attach() *Stream {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endCurrent()
	stream := &Stream{feed: f, wake: make(chan struct{}, 1)}
	if f.opened && f.present != nil {
		stream.notices = []notice{{event: &contract.Event{Kind: &contract.Event_Session{Session: f.present}}}}
	}
	stream.notices = append(stream.notices, f.untold...)
	f.untold, f.opened = nil, true
	f.current = stream
	return stream
}

func (f *feed) detach(stream *Stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == stream {
		f.current = nil
	}
}

// end ends the stream, when it has handed over what it was told.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endCurrent()
}

func (f *feed) endCurrent() {
	if f.current != nil {
		f.current.ended = true
		f.current.rouse()
		f.current = nil
	}
}

// more says that an event was appended to the inbox.
func (f *feed) more() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current != nil {
		f.current.rouse()
	}
}

// Run hands events over until the stream is ended (nil), its caller leaves, or `send` fails.
func (s *Stream) Run(ctx context.Context, send func(*contract.Event) error) error {
	defer s.feed.detach(s)
	position, outage := uint64(0), outage{}
	for {
		// What was told before the events are read can stand at the end of them: the events it must not overtake are among them.
		told, ended := s.told()
		if ended {
			return s.sendNotices(send, told)
		}
		events, more, err := s.feed.box.After(ctx, position, batchSize, batchBytes)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.feed.log.StoreFailed("reading the inbox", err)
			if outage.isToBeTold(time.Now()) {
				if err := send(storeFailed()); err != nil {
					return err
				}
			}
			s.pause(ctx, readAgain)
			continue
		}
		if outage.ends() {
			s.tellPresent()
		}
		for _, event := range events {
			sent, err := s.sendNoticesBefore(send, event.Sequence)
			if err != nil {
				return err
			}
			told -= sent
			failpoint.Pass(failpoint.EventNext)
			if err := send(event); err != nil {
				return err
			}
			failpoint.Pass(failpoint.EventHanded)
			position = event.Sequence
		}
		if more {
			continue
		}
		if err := s.sendNotices(send, told); err != nil {
			return err
		}
		s.pause(ctx, 0)
	}
}

// outage is a time in which the inbox cannot be read.
type outage struct {
	since  time.Time
	isTold bool
}

// isToBeTold is true once in an outage that is not over in a moment.
func (o *outage) isToBeTold(now time.Time) bool {
	if o.since.IsZero() {
		o.since = now
	}
	if o.isTold || now.Sub(o.since) < toldAfter {
		return false
	}
	o.isTold = true
	return true
}

// ends says whether there was one that was told.
func (o *outage) ends() bool {
	wasTold := o.isTold
	*o = outage{}
	return wasTold
}

func storeFailed() *contract.Event {
	state := &contract.SessionChanged{State: contract.SessionChanged_RECONNECTING, Reason: "store_failed"}
	return &contract.Event{Kind: &contract.Event_Session{Session: state}}
}

// tellPresent says how the session stands, unless what waits says it.
func (s *Stream) tellPresent() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	for _, waiting := range s.notices {
		if waiting.event.GetSession() != nil {
			return
		}
	}
	if s.feed.present != nil {
		present := &contract.Event{Kind: &contract.Event_Session{Session: s.feed.present}}
		s.notices = append(s.notices, notice{event: present, after: s.feed.barrier})
		s.rouse()
	}
}

func (s *Stream) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// pause waits for news, at most `limit` unless it is 0.
func (s *Stream) pause(ctx context.Context, limit time.Duration) {
	var over <-chan time.Time
	if limit > 0 {
		over = time.After(limit)
	}
	select {
	case <-s.wake:
	case <-over:
	case <-ctx.Done():
	}
}

func (s *Stream) told() (int, bool) {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	return len(s.notices), s.ended
}

func (s *Stream) sendNotices(send func(*contract.Event) error, count int) error {
	for ; count > 0; count-- {
		next := s.next(func(notice) bool { return true })
		if next == nil {
			return nil
		}
		if err := send(next); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stream) sendNoticesBefore(send func(*contract.Event) error, sequence uint64) (int, error) {
	sent := 0
	for {
		next := s.next(func(told notice) bool { return told.after < sequence })
		if next == nil {
			return sent, nil
		}
		if err := send(next); err != nil {
			return sent, err
		}
		sent++
	}
}

// next takes the oldest notice, if it may be handed over now.
func (s *Stream) next(may func(notice) bool) *contract.Event {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	if len(s.notices) == 0 || !may(s.notices[0]) {
		return nil
	}
	event := s.notices[0].event
	s.notices = s.notices[1:]
	return event
}
