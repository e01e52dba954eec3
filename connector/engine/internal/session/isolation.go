package session

import (
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types/events"

	"threadline/engine/contract"
	"threadline/engine/internal/incoming"
	"threadline/engine/internal/nodes"
	"threadline/engine/internal/quarantine"
)

// isolatedTag is the tag of a stanza that is kept from whatsmeow, which handles no such tag.
const isolatedTag = "isolated"

// Why a stanza's handling has failed.
const (
	panicked = "panic"
	refused  = "store_refused"
)

// mishandled deals with a stanza whose handling has failed for a reason that lies in the stanza. After the first failure it is given back,
// after the second it is isolated. It says whether the stanza may be acknowledged. Where the stanza is not known (nil), it is given back.
func (s *Session) mishandled(client *whatsmeow.Client, stanza *waBinary.Node, reason string) bool {
	if stanza == nil {
		s.giveBack()
		return false
	}
	isIsolated, err := s.quarantined.Failed(s.ctx, quarantine.NameOf(stanza), reason)
	if err != nil {
		s.log.StoreFailed("noting a failed stanza", err)
	}
	if err != nil || !isIsolated {
		s.giveBack()
		return false
	}
	return s.isolate(client, stanza)
}

// isolate keeps a stanza as it came, and tells of it if it is a message that would be shown. It says whether that is durable.
func (s *Session) isolate(client *whatsmeow.Client, stanza *waBinary.Node) bool {
	wire := contained(func() []byte { return nodes.Encode(stanza) })
	keep := s.quarantined.Keep(quarantine.NameOf(stanza), wire)
	id := stanza.AttrGetter().OptionalString("id")
	event := contained(func() *contract.Event { return s.isolatedMessage(client, stanza) })
	var saved bool
	if event != nil {
		event.Wire = wire
		saved = s.audit.keep(id, event, patient, keep)
	} else {
		saved = s.persist("isolated", patient, func() error { return s.shared.DB.Together(s.ctx, keep) }) &&
			(stanza.Tag != "message" || s.audit.handled(id, nothingToDo))
	}
	if !saved && s.wasRefused.Swap(false) { // the store refuses what was to stand beside it
		s.audit.stanzas.Handled(id)
		saved = s.keep(event, patient)
	}
	if !saved {
		s.giveBack()
		return false
	}
	s.log.StanzaIsolated(stanza.Tag, event != nil)
	return true
}

func (s *Session) isolatedMessage(client *whatsmeow.Client, stanza *waBinary.Node) *contract.Event {
	if stanza.Tag != "message" {
		return nil
	}
	//lint:ignore SA1019 nothing else reads a stanza as whatsmeow itself does
	info, err := client.DangerousInternals().ParseMessageInfo(stanza)
	if err != nil {
		return nil
	}
	return incoming.Isolated(s.ctx, client.Store.LIDs, s.groupName(client), info)
}

// stanzaOf gives the stanza that an event is about; nil where that is not known.
func (s *Session) stanzaOf(event any) *waBinary.Node {
	switch event := event.(type) {
	case *events.Message:
		if waiting := s.audit.stanzas.Next(event.Info.ID); waiting != nil && event.SourceWebMsg == nil {
			return waiting.Node
		}
	case *events.Receipt:
		if len(event.MessageIDs) > 0 {
			return s.wires.Look("receipt", event.MessageIDs[0])
		}
	case *events.CallOffer:
		return s.wires.Look("call", event.CallID)
	case *events.CallOfferNotice:
		return s.wires.Look("call", event.CallID)
	}
	return nil
}

// divert keeps an isolated stanza from whatsmeow, and says whether it is one. The stanza is acknowledged when it is kept.
func (o *observer) divert(node *waBinary.Node) bool {
	s := o.session
	if !isAnswered(node.Tag) || !s.quarantined.Isolates(node) {
		return false
	}
	stanza := *node
	node.Tag = isolatedTag
	if stanza.Tag == "message" {
		s.audit.came(&stanza)
	}
	go func() {
		if s.isolate(o.client, &stanza) {
			//lint:ignore SA1019 nothing else acknowledges a stanza
			o.client.DangerousInternals().SendAck(s.ctx, &stanza, 0)
		}
	}()
	return true
}

// DecryptionPanicked comes after whatsmeow has recovered from a panic of its own, before it acknowledges the message.
func (o *observer) DecryptionPanicked(id string) {
	if waiting := o.session.audit.stanzas.Next(id); waiting != nil {
		o.session.log.DecryptionPanicked()
		o.session.mishandled(o.client, waiting.Node, panicked)
	}
}

// isAnswered says whether WhatsApp hands a stanza over again until it is answered.
func isAnswered(tag string) bool {
	return tag == "message" || tag == "receipt" || tag == "notification" || tag == "call"
}

// contained gives what a function makes of a stanza that may make it panic; nothing where it does.
func contained[T any](read func() T) (found T) {
	defer func() {
		if recover() != nil {
			var nothing T
			found = nothing
		}
	}()
	return read()
}
