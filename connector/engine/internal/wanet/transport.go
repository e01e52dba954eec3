// Package wanet is the way to WhatsApp's servers. Each session has a client of its own, whose connections carry nothing but in its term.
package wanet

import (
	"context"
	"net"
	"net/http"
	"time"
)

const answerWithin = 20 * time.Second

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Way is what all sessions' connections have in common.
type Way struct {
	transport *http.Transport
	dial      dialer
}

// Client is a session's. Its connections are closed when the session's context ends.
func (w *Way) Client(session context.Context) *http.Client {
	transport := w.transport.Clone()
	transport.DialContext = fenced(session, w.dial)
	if transport.DialTLSContext != nil {
		transport.DialTLSContext = transport.DialContext
	}
	return &http.Client{Transport: transport}
}

// Process is the process's own client, for requests that belong to no session.
func (w *Way) Process() *http.Client {
	transport := w.transport.Clone()
	transport.DialContext = w.dial
	if transport.DialTLSContext != nil {
		transport.DialTLSContext = w.dial
	}
	return &http.Client{Transport: transport}
}

func sharedTransport() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = answerWithin
	return transport
}
