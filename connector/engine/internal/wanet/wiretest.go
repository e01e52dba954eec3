//go:build wiretest

package wanet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"

	"go.mau.fi/whatsmeow"

	"threadline/engine/internal/failpoint"
)

// Find gives the way to the wire server of the tests alone, WIRE_SERVER, and trusts its root key, WIRE_ROOT: plain WebSocket, or, with
// WIRE_CA, TLS through the server's CONNECT.
func Find() (*Way, error) {
	key, err := hex.DecodeString(os.Getenv("WIRE_ROOT"))
	if err != nil || len(key) != len(whatsmeow.WACertPubKey) {
		return nil, errors.New("WIRE_ROOT must be 32 bytes in hexadecimal")
	}
	server := os.Getenv("WIRE_SERVER")
	if host, _, err := net.SplitHostPort(server); err != nil || !net.ParseIP(host).IsLoopback() {
		return nil, errors.New("WIRE_SERVER must be 127.0.0.1:PORT")
	}
	copy(whatsmeow.WACertPubKey[:], key)
	transport := sharedTransport()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		opened, err := (&net.Dialer{Timeout: answerWithin}).DialContext(ctx, "tcp", server)
		if err != nil {
			return nil, err
		}
		return watched{opened}, nil
	}
	if file := os.Getenv("WIRE_CA"); file != "" {
		return throughConnect(&Way{transport: transport, dial: dial}, server, file)
	}
	transport.Proxy = nil
	transport.DialTLSContext = dial
	return &Way{transport: transport, dial: dial}, nil
}

// watched is a connection whose writes are a fail point.
type watched struct{ net.Conn }

func (w watched) Write(bytes []byte) (int, error) {
	written, err := w.Conn.Write(bytes)
	failpoint.Written()
	return written, err
}

func throughConnect(way *Way, server, caFile string) (*Way, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("WIRE_CA cannot be read: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("WIRE_CA holds no certificate")
	}
	way.transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	way.transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: server})
	return way, nil
}
