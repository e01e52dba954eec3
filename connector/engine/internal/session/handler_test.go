package session

import (
	"testing"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

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

// A session that lacks its parts stands for a fault of this program: whoever asks for them panics.
func TestAPanicAtWhatThePhoneHasSentIsContained(t *testing.T) {
	s := &Session{log: journal.For("shop"), ctx: t.Context(), connected: true, client: &whatsmeow.Client{}}
	sent := &waE2E.ProtocolMessage{HistorySyncNotification: &waE2E.HistorySyncNotification{DirectPath: proto.String("/x")}}
	if kind, err := s.tryPeerMessage(t.Context(), sent); kind != "" || err != nil {
		t.Errorf("the session would not open: %q, %v", kind, err)
	}
	if err := s.tryHistoryPart("digest"); err == nil {
		t.Error("the part counts as taken")
	}
}
