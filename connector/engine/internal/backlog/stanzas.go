package backlog

import (
	"sync"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// Stanza is a message as it came.
type Stanza struct {
	Node    *waBinary.Node
	Offline bool // it had waited for the account
	handled bool
}

// Stanzas knows the messages of a connection that have come and were not answered, the oldest of an id first: whatsmeow handles them in
// the order in which they came. Its handler is not called for each of them; what is answered without it is told by Answered.
type Stanzas struct {
	mu      sync.Mutex
	waiting map[string][]*Stanza
	offline int // that are not handled and had waited
}

func NewStanzas() *Stanzas { return &Stanzas{waiting: map[string][]*Stanza{}} }

// Reset begins anew with a new connection.
func (s *Stanzas) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.waiting)
	s.offline = 0
}

// Came notes a message that is about to be queued.
func (s *Stanzas) Came(id string, stanza *Stanza) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[id] = append(s.waiting[id], stanza)
	if stanza.Offline {
		s.offline++
	}
}

// Next gives the message that the handler is called for; nil where it is called for no stanza, or once more for the same.
func (s *Stanzas) Next(id string) *Stanza {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stanza := range s.waiting[id] {
		if !stanza.handled {
			return stanza
		}
	}
	return nil
}

// Handled gives the message that the handler was called for; nil where it was called for no stanza, or once more for the same.
func (s *Stanzas) Handled(id string) *Stanza {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stanza := range s.waiting[id] {
		if !stanza.handled {
			s.handle(stanza)
			return stanza
		}
	}
	return nil
}

// Answered says that an answer is about to leave. It gives the message where no handler has seen it. `beside` is an answer that may come
// beside another one, at any moment: it is none of a message that is not handled yet.
func (s *Stanzas) Answered(id string, beside bool) *Stanza {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.waiting[id]
	if len(waiting) == 0 || (beside && !waiting[0].handled) {
		return nil
	}
	first := waiting[0]
	if len(waiting) == 1 {
		delete(s.waiting, id)
	} else {
		s.waiting[id] = waiting[1:]
	}
	if first.handled {
		return nil
	}
	s.handle(first)
	return first
}

// OfflineLeft counts those that had waited for the account and are not dealt with.
func (s *Stanzas) OfflineLeft() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offline
}

func (s *Stanzas) handle(stanza *Stanza) {
	stanza.handled = true
	if stanza.Offline {
		s.offline--
	}
}
