package session

import (
	"context"
	"sync"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"

	"threadline/engine/internal/quarantine"
)

// careWithin is how long a stanza waits for the one before it. That one's handler may itself wait for an answer which comes after.
const careWithin = 5 * time.Second

// care has an account's stanzas handled one after the other, each noted in the store first, while the process may crash at one of them. A
// nil care does nothing.
type care struct {
	s     *Session
	until time.Time

	mu      sync.Mutex
	inHand  string        // class and id of the stanza
	handled chan struct{} // closed when it is answered
}

// begin runs on the socket's reader.
func (c *care) begin(node *waBinary.Node) {
	if c == nil || !isAnswered(node.Tag) || time.Now().After(c.until) {
		return
	}
	c.mu.Lock()
	before := c.handled
	c.mu.Unlock()
	if before != nil {
		select {
		case <-before:
		case <-time.After(careWithin):
		case <-c.s.ctx.Done():
		}
	}
	c.note(quarantine.NameOf(node))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inHand, c.handled = keyOf(node.Tag, node), make(chan struct{})
}

// end runs before a stanza's answer leaves.
func (c *care) end(class string, answer *waBinary.Node) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handled == nil || c.inHand != keyOf(class, answer) {
		return
	}
	c.note("")
	close(c.handled)
	c.inHand, c.handled = "", nil
}

// reset begins anew with a new connection: what was in hand comes again.
func (c *care) reset() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handled != nil {
		close(c.handled)
	}
	c.inHand, c.handled = "", nil
}

func (c *care) note(name string) {
	ctx, cancel := context.WithTimeout(c.s.ctx, careWithin)
	defer cancel()
	if err := quarantine.InHand(ctx, c.s.shared.DB, c.s.term.Account, name); err != nil {
		c.s.log.StoreFailed("noting the stanza in hand", err)
	}
}

func keyOf(class string, node *waBinary.Node) string {
	return class + " " + node.AttrGetter().OptionalString("id")
}
