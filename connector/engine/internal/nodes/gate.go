package nodes

import (
	"sync"
	"time"
)

// whatsmeow queues 2,048 nodes for its handlers; what comes beyond that overtakes. Above `holdFrom` the reader waits for the handlers,
// as long as they get on. When they do not, one of them may itself wait for an answer that has not been read yet: then it reads on,
// quickly up to `holdHard`, slowly beyond.
const (
	holdFrom  = 1000
	holdHard  = 1900
	stuckFor  = 500 * time.Millisecond
	slowAbove = time.Second
)

// Gate knows the nodes of a connection that were received and are not answered yet.
type Gate struct {
	mu         sync.Mutex
	unanswered map[string]int
	count      int
	answered   chan struct{} // made by who waits, closed when one is answered
}

func NewGate() *Gate { return &Gate{unanswered: map[string]int{}} }

// Reset begins anew with a new connection.
func (g *Gate) Reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.unanswered)
	g.count = 0
	g.tell()
}

// Admit counts a node that is about to be queued, and holds the reader up while too many wait.
func (g *Gate) Admit(class, id string) {
	g.mu.Lock()
	g.unanswered[class+" "+id]++
	g.count++
	g.mu.Unlock()
	for g.mustWait() {
	}
}

// Answer says that a node was dealt with: acknowledged, or answered by a receipt.
func (g *Gate) Answer(class, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := class + " " + id
	switch g.unanswered[key] {
	case 0:
		return
	case 1:
		delete(g.unanswered, key)
	default:
		g.unanswered[key]--
	}
	g.count--
	g.tell()
}

// mustWait waits once, where there is reason to, and says whether to look again.
func (g *Gate) mustWait() bool {
	g.mu.Lock()
	count := g.count
	if count > holdFrom && g.answered == nil {
		g.answered = make(chan struct{})
	}
	answered := g.answered
	g.mu.Unlock()
	if count <= holdFrom {
		return false
	}
	patience := stuckFor
	if count > holdHard {
		patience = slowAbove
	}
	select {
	case <-answered:
		return true
	case <-time.After(patience):
		return false
	}
}

func (g *Gate) tell() {
	if g.answered != nil {
		close(g.answered)
		g.answered = nil
	}
}
