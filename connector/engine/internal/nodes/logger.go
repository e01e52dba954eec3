// Package nodes looks at the protocol's nodes as they pass between whatsmeow and its socket.
//
// whatsmeow shows each of them to its logger: a received one before it is queued, one to be sent just before it goes to the socket,
// on the thread that sends it. That is the only place to see what was received and what leaves, so the logger stands there.
package nodes

import (
	"fmt"
	"log/slog"
	"strings"

	waBinary "go.mau.fi/whatsmeow/binary"
	waLog "go.mau.fi/whatsmeow/util/log"

	"threadline/engine/internal/journal"
)

// Observer is shown nodes in the order in which they pass. What it does holds them up.
type Observer interface {
	Received(node *waBinary.Node)
	Sending(node *waBinary.Node)
	// DecryptionPanicked comes on the thread that handles a message, before it is acknowledged.
	DecryptionPanicked(id string)
}

// How whatsmeow says that it has recovered from a panic while it decrypted a message, whose id comes first (message.go, decryptMessages).
const decryptionPanicked = "Message decryption for %s panicked"

// NewLogger gives a client its logger.
func NewLogger(observer Observer, log journal.Account) waLog.Logger {
	return logger{observer: observer, log: log}
}

type logger struct {
	module   string
	observer Observer
	log      journal.Account
}

func (l logger) Sub(module string) waLog.Logger {
	return logger{module: module, observer: l.observer, log: l.log}
}

func (l logger) Debugf(_ string, arguments ...any) {
	if len(arguments) != 1 || (l.module != "Recv" && l.module != "Send") {
		return
	}
	node, ok := arguments[0].(*waBinary.Node)
	if !ok {
		return
	}
	if l.module == "Recv" {
		l.observer.Received(node)
	} else {
		l.observer.Sending(node)
	}
}

func (l logger) Infof(string, ...any) {}

func (l logger) Warnf(template string, _ ...any) { l.log.Library(slog.LevelWarn, l.module, template) }

func (l logger) Errorf(template string, arguments ...any) {
	l.log.Library(slog.LevelError, l.module, template)
	if strings.HasPrefix(template, decryptionPanicked) && len(arguments) > 0 {
		l.observer.DecryptionPanicked(fmt.Sprint(arguments[0]))
	}
}
