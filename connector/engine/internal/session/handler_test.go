package session

import (
	"testing"

	"go.mau.fi/whatsmeow/types/events"

	"threadline/engine/internal/journal"
	"threadline/engine/internal/nodes"
)

func TestAPanicInAHandlerIsContainedAndItsEventIsNotTaken(t *testing.T) {
	s := &Session{log: journal.For("shop"), wires: nodes.NewWires()}
	s.keeper = newKeeper(s)
	if s.handle(nil, &events.Receipt{}) { // it names no message: nothing that whatsmeow would give
		t.Error("the event counts as taken")
	}
	if !s.broken.Load() {
		t.Error("the connection goes on: WhatsApp would never hand the event over again")
	}
}
