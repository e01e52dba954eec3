package session

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"

	"threadline/engine/internal/failpoint"
	"threadline/engine/internal/identity"
	"threadline/engine/internal/incoming"
	"threadline/engine/internal/nodes"
)

const (
	syncWithin     = 2 * time.Second
	heldBackWithin = 30 * time.Second
	heldBackLook   = 10 * time.Millisecond
)

// observer looks at the nodes of one client: at what whatsmeow itself says nothing of, and at what leaves.
type observer struct {
	session *Session
	client  *whatsmeow.Client
}

// Received runs on the socket's reader, before the node is queued.
func (o *observer) Received(node *waBinary.Node) {
	s := o.session
	if o.divert(node) {
		return
	}
	s.care.begin(node)
	attributes := node.AttrGetter()
	failpoint.PanicAt(failpoint.StanzaCame, attributes.OptionalString("id"))
	switch node.Tag {
	case "success":
		s.authenticated.Store(true)
	case "stream:error":
		conflict := node.GetChildByTag("conflict")
		o.streamError(attributes.OptionalString("code"), conflict.AttrGetter().OptionalString("type"))
	case "failure":
		o.failure(attributes.OptionalString("reason"))
	case "ack":
		if attributes.OptionalString("class") == "message" {
			o.acknowledged(node)
		}
	case "receipt":
		s.phoneSpoke(o.client, node)
		s.wires.Keep("receipt", attributes.OptionalString("id"), node)
		s.gate.Admit("receipt", attributes.OptionalString("id"))
	case "call":
		if children := node.GetChildren(); len(children) == 1 && (children[0].Tag == "offer" || children[0].Tag == "offer_notice") {
			s.wires.Keep("call", children[0].AttrGetter().OptionalString("call-id"), node)
		}
		s.gate.Admit("call", attributes.OptionalString("id"))
	case "message", "notification":
		if node.Tag == "message" {
			s.phoneSpoke(o.client, node)
			s.audit.came(node)
		}
		s.gate.Admit(node.Tag, attributes.OptionalString("id"))
	}
}

// Sending runs on the thread that sends, just before the node goes to the socket.
func (o *observer) Sending(node *waBinary.Node) {
	attributes := node.AttrGetter()
	id := attributes.OptionalString("id")
	switch node.Tag {
	case "iq":
		if kind := attributes.OptionalString("type"); kind != "get" {
			_ = o.sync() // keys that WhatsApp is given, a device that it is told of
		}
	case "receipt":
		o.session.audit.answering(o.client, id, attributes.OptionalString("type"))
		o.holdBack()
		o.session.care.end("message", node)
		o.session.gate.Answer("message", id)
	case "ack":
		class := attributes.OptionalString("class")
		if class == "message" {
			o.session.audit.answering(o.client, id, "")
		}
		o.holdBack()
		o.session.care.end(class, node)
		o.session.gate.Answer(class, id)
	case "message":
		if err := o.leaving(); err != nil {
			o.session.sends.Refuse(id, err)
		}
		if participants, ok := node.GetOptionalChildByTag("participants"); ok {
			o.session.sends.Sending(id, recipients(node, participants))
		}
	}
}

// holdBack keeps an answer from leaving on a connection on which something was given back, until that connection is gone and the answer
// with it: whatsmeow answers some stanzas whatever became of them.
func (o *observer) holdBack() {
	for began := time.Now(); o.session.broken.Load() && o.client.IsConnected() && time.Since(began) < heldBackWithin; {
		time.Sleep(heldBackLook)
	}
}

// leaving has the store know, on the disk, that a message leaves, and the ratchet that has encrypted it.
func (o *observer) leaving() error {
	ctx, cancel := context.WithTimeout(o.session.ctx, syncWithin)
	defer cancel()
	if err := o.session.mark.Leaving(ctx); err != nil {
		o.session.log.StoreFailed("counting a message that leaves", err)
		return err
	}
	return o.sync()
}

// sync flushes what the node rests on to the disk.
func (o *observer) sync() error {
	ctx, cancel := context.WithTimeout(o.session.ctx, syncWithin)
	defer cancel()
	err := o.session.shared.DB.Sync(ctx)
	if err != nil {
		o.session.log.StoreFailed("flushing the disk", err)
	}
	return err
}

// streamError tells what WhatsApp says before it closes a connection. Those that end the session come as whatsmeow's events.
func (o *observer) streamError(code, conflict string) {
	if code == "515" || code == "401" || conflict != "" {
		return
	}
	o.session.keeper.do(func() { o.session.keeper.fail(o.client, word("stream_error", code)) })
}

// failure tells why WhatsApp did not let the connection in, where whatsmeow has no event for it.
func (o *observer) failure(reason string) {
	if reason == "500" || reason == "503" {
		o.session.keeper.do(func() { o.session.keeper.fail(o.client, word("connect_failure", reason)) })
	}
}

func (o *observer) acknowledged(node *waBinary.Node) {
	attributes := node.AttrGetter()
	id := attributes.OptionalString("id")
	at := attributes.OptionalUnixTime("t")
	code := attributes.OptionalString("error")
	if code == "0" {
		code = ""
	}
	chat, isLate := o.session.sends.Acknowledged(id, code, at)
	if !isLate {
		return
	}
	go func() { // saving takes its time, and the reader must not wait for it
		names := identity.Of(o.session.ctx, o.client.Store.LIDs, chat, types.EmptyJID)
		o.session.keep(incoming.Acknowledged(names, id, at, nodes.Encode(node)), stubborn)
	}()
}

// recipients counts the devices of the recipient that a message is encrypted for; the account's own come beside them.
func recipients(message *waBinary.Node, participants waBinary.Node) int {
	attributes := message.AttrGetter()
	to := attributes.OptionalJIDOrEmpty("to")
	number := attributes.OptionalJIDOrEmpty("peer_recipient_pn")
	count := 0
	for _, participant := range participants.GetChildrenByTag("to") {
		device := participant.AttrGetter().OptionalJIDOrEmpty("jid")
		isRecipient := device.User == to.User || (!number.IsEmpty() && device.User == number.User)
		if _, encrypted := participant.GetOptionalChildByTag("enc"); isRecipient && encrypted {
			count++
		}
	}
	return count
}

// word joins a reason and a code to one short word.
func word(reason, code string) string {
	if code == "" {
		return reason
	}
	return reason + "_" + code
}
