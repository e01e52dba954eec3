//go:build !wiretest

package wanet

import "net/http"

// Client is what all sessions connect with. A release trusts WhatsApp's own root key and nothing else.
func Client() (*http.Client, error) {
	return &http.Client{Transport: sharedTransport()}, nil
}
