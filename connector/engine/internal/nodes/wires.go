package nodes

import (
	"sync"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// Wires keeps nodes from their arrival to their handler, which whatsmeow does not show them to.
type Wires struct {
	mu    sync.Mutex
	nodes map[string]*waBinary.Node
}

func NewWires() *Wires { return &Wires{nodes: map[string]*waBinary.Node{}} }

// Reset begins anew with a new connection.
func (w *Wires) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.nodes)
}

// Keep remembers a node until it is taken.
func (w *Wires) Keep(class, id string, node *waBinary.Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[class+" "+id] = node
}

// Look gives a node that is not taken yet; nil where it is not there.
func (w *Wires) Look(class, id string) *waBinary.Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[class+" "+id]
}

// Take gives a node as it came over the wire, in WhatsApp's binary form; nil where it is not there any more.
func (w *Wires) Take(class, id string) []byte {
	key := class + " " + id
	w.mu.Lock()
	node := w.nodes[key]
	delete(w.nodes, key)
	w.mu.Unlock()
	if node == nil {
		return nil
	}
	return Encode(node)
}

// Encode gives a node in WhatsApp's binary form.
func Encode(node *waBinary.Node) []byte {
	encoded, err := waBinary.Marshal(*node)
	if err != nil {
		return nil
	}
	return encoded
}
