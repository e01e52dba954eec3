package session

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"threadline/engine/contract"
	"threadline/engine/internal/backlog"
	"threadline/engine/internal/database"
	"threadline/engine/internal/failpoint"
	"threadline/engine/internal/incoming"
)

// outcome is what became of a message that has arrived.
type outcome int

const (
	toldOfIt    outcome = iota // its event is saved
	nothingToDo                // handed over before, or nobody's message
	unread                     // it could not be decrypted
)

// audit holds the backlog that WhatsApp announces against what arrives, and sees to it that no message is answered without an event, a
// reason to have none, or a word that it is awaited.
type audit struct {
	s        *Session
	ledger   *backlog.Ledger
	stanzas  *backlog.Stanzas
	repeated atomic.Bool // the store has said that the message being decrypted was handed over before

	mu       sync.Mutex
	delivery *backlog.Delivery // nil until something is announced on this connection, or is still owed
	arrived  map[outcome]int   // of the announced ones
	seen     map[string]int    // how often each has come on this connection
}

func newAudit(s *Session) *audit {
	return &audit{s: s, ledger: backlog.NewLedger(s.shared.DB, s.term.Account), stanzas: backlog.NewStanzas()}
}

// reset begins anew with a new connection.
func (a *audit) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delivery = nil
	a.stanzas.Reset()
	a.repeated.Store(false)
}

// announced takes WhatsApp's word on how many messages are to come.
func (a *audit) announced(messages int) {
	a.s.persist("backlog", patient, func() error {
		delivery, err := a.ledger.Announce(a.s.ctx, messages, time.Now())
		if err != nil {
			return err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.delivery, a.arrived, a.seen = delivery, map[outcome]int{}, map[string]int{}
		return nil
	})
}

// came runs on the socket's reader.
func (a *audit) came(node *waBinary.Node) {
	attributes := node.AttrGetter()
	_, offline := node.Attrs["offline"]
	a.stanzas.Came(attributes.OptionalString("id"), &backlog.Stanza{Node: node, Offline: offline})
}

// handled notes what became of a message that the handler was called for. It says whether that is saved.
func (a *audit) handled(id string, became outcome) bool {
	stanza := a.stanzas.Handled(id)
	return stanza == nil || a.settle(stanza, became)
}

// keysCame notes the part of a group's message that carries keys. Where another part is still to come, that one settles the stanza.
func (a *audit) keysCame(id string) bool {
	if stanza := a.stanzas.Next(id); stanza != nil && len(stanza.Node.GetChildrenByTag("enc")) > 1 {
		return true
	}
	return a.handled(id, nothingToDo)
}

// answering runs before WhatsApp is told of a message. One that no handler has seen was handed over before, or could not be decrypted.
func (a *audit) answering(client *whatsmeow.Client, id, kind string) {
	beside := false
	switch types.ReceiptType(kind) {
	case types.ReceiptTypeDelivered, types.ReceiptTypeSender, types.ReceiptTypeInactive:
	case types.ReceiptTypePeerMsg, types.ReceiptTypeHistorySync:
		beside = true
	default: // of other messages than it answers; a retry receipt is followed by an ack
		return
	}
	stanza := a.stanzas.Answered(id, beside)
	if stanza == nil {
		return
	}
	became := unread
	if a.repeated.Swap(false) {
		became = nothingToDo
	} else if event := a.unreadable(client, stanza.Node); event == nil {
		became = nothingToDo
	} else if !a.s.keep(event, patient) {
		if a.s.wasRefused.Swap(false) {
			a.s.mishandled(client, stanza.Node, refused)
		}
		return // the session is broken, and the answer held back; or the message is isolated
	} else if event.GetMessage() != nil {
		became = toldOfIt
	}
	a.settle(stanza, became)
}

// unreadable gives the event of a message that could not be decrypted: that it is awaited; or, for one that may be seen once and never
// comes to this device, that it is there. nil where nobody misses it.
func (a *audit) unreadable(client *whatsmeow.Client, node *waBinary.Node) *contract.Event {
	//lint:ignore SA1019 nothing else reads a stanza as whatsmeow itself does
	info, err := client.DangerousInternals().ParseMessageInfo(node)
	if err != nil {
		return nil // it names no chat: WhatsApp is told that it is malformed
	}
	child, unavailable := node.GetOptionalChildByTag("unavailable")
	encrypted := node.GetChildrenByTag("enc")
	if !unavailable && len(encrypted) == 0 {
		return nil // nothing was sent to be read
	}
	if unavailable && events.UnavailableType(child.AttrGetter().OptionalString("type")) == events.UnavailableTypeViewOnce {
		return incoming.ViewOnce(a.s.ctx, a.s.names(client), a.s.groupName(client), info)
	}
	for _, child := range encrypted {
		if child.AttrGetter().OptionalString("decrypt-fail") == "hide" {
			return nil // its sender says that nobody need know
		}
	}
	return incoming.Awaited(a.s.ctx, a.s.names(client), info)
}

func (a *audit) settle(stanza *backlog.Stanza, became outcome) bool {
	if arrival := a.arrival(stanza); arrival != nil {
		if !a.s.persist("backlog", patient, func() error { return a.s.shared.DB.Durable(a.s.ctx, arrival.Query, arrival.Arguments...) }) {
			return false
		}
	}
	a.count(stanza, became)
	return true
}

// keep makes the event of a message durable, and that it has arrived, together, and what else is to stand with it.
func (a *audit) keep(id string, event *contract.Event, how patience, others ...database.Statement) bool {
	stanza := a.stanzas.Next(id)
	if arrival := a.arrival(stanza); arrival != nil {
		others = append(others, *arrival)
	}
	if !a.s.keep(event, how, others...) {
		return false
	}
	if stanza != nil {
		a.stanzas.Handled(id)
		a.count(stanza, toldOfIt)
	}
	return true
}

// arrival gives the statement that notes an announced message as arrived; nil for one that was not announced.
func (a *audit) arrival(stanza *backlog.Stanza) *database.Statement {
	a.mu.Lock()
	defer a.mu.Unlock()
	if stanza == nil || !stanza.Offline || a.delivery == nil {
		return nil
	}
	name := nameOf(stanza)
	arrival := a.ledger.Arrived(a.delivery, fmt.Sprintf("%s %d", name, a.seen[name]))
	return &arrival
}

func (a *audit) count(stanza *backlog.Stanza, became outcome) {
	a.repeated.Store(false)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !stanza.Offline || a.delivery == nil {
		return
	}
	a.seen[nameOf(stanza)]++
	a.arrived[became]++
	failpoint.Pass(failpoint.BacklogSettled)
}

func nameOf(stanza *backlog.Stanza) string {
	attributes := stanza.Node.Attrs
	return fmt.Sprintf("%v %v %v", attributes["id"], attributes["from"], attributes["participant"])
}

// delivered takes WhatsApp's word that all that was announced has been handed over. What is not proven complete is left to the next
// connection.
func (a *audit) delivered() {
	a.mu.Lock()
	announced := a.delivery != nil
	a.mu.Unlock()
	if !announced {
		a.announced(0) // what was announced on a connection before may still be owed
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.s.broken.Load() || a.delivery == nil || a.stanzas.OfflineLeft() > 0 {
		return
	}
	failpoint.Pass(failpoint.BacklogDelivered)
	var told *contract.BacklogDelivered
	if !a.s.persist("backlog", patient, func() (err error) {
		told, err = a.conclude(*a.delivery)
		return err
	}) {
		return
	}
	a.delivery = nil
	a.s.log.BacklogDelivered(told.GetAnnounced(), told.GetLost(), told.GetUndecrypted())
}

// conclude tells what became of a backlog, and forgets it, together. Where nothing of it was anybody's message, nobody is told.
func (a *audit) conclude(delivery backlog.Delivery) (*contract.BacklogDelivered, error) {
	announced, lost, err := a.ledger.Owed(a.s.ctx)
	if err != nil {
		return nil, err
	}
	told := &contract.BacklogDelivered{
		Announced:         uint32(announced),
		Events:            uint32(a.arrived[toldOfIt]),
		WithoutEvent:      uint32(a.arrived[nothingToDo]),
		Undecrypted:       uint32(a.arrived[unread]),
		Lost:              uint32(lost),
		BeganAtUnixMs:     delivery.Began.UnixMilli(),
		ConnectedAtUnixMs: delivery.ConnectedAt.UnixMilli(),
	}
	if told.Events+told.Undecrypted+told.Lost == 0 {
		return told, a.s.shared.DB.Together(a.s.ctx, a.ledger.Conclude()...)
	}
	event := &contract.Event{Kind: &contract.Event_Backlog{Backlog: told}}
	return told, a.s.box.AppendWith(a.s.ctx, event, a.ledger.Conclude()...)
}
