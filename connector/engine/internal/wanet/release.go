//go:build !wiretest

package wanet

import (
	"net"
	"time"
)

// Find gives the way to WhatsApp. A release trusts WhatsApp's own root key and nothing else.
func Find() (*Way, error) {
	dial := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second} // as http.DefaultTransport has it
	return &Way{transport: sharedTransport(), dial: dial.DialContext}, nil
}
