// Package wanet is the way to WhatsApp's servers: one HTTP transport that all sessions share.
package wanet

import (
	"net/http"
	"time"
)

const answerWithin = 20 * time.Second

func sharedTransport() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = answerWithin
	return transport
}
