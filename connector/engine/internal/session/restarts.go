package session

import (
	"time"

	"go.mau.fi/whatsmeow"

	"threadline/engine/contract"
	"threadline/engine/internal/webversion"
)

const (
	// settledAfter is how long a connection must have lasted for its restart to be nothing unusual.
	settledAfter = time.Minute
	// versionTries is how often the version may be refused while nobody can say which is the newest.
	versionTries = 5
)

// restarted: WhatsApp asks for a new connection (stream error 515). After a pairing it is due at once. In a session that is linked
// already, WhatsApp may ask again and again: then each connection waits longer than the one before.
func (k *keeper) restarted(client *whatsmeow.Client) {
	if k.phase == linking || k.phase == pairing { // the latter where whatsmeow has not said yet that the device is linked
		if k.phase == linking {
			k.phase = connecting
		}
		client.Disconnect()
		k.connect()
		return
	}
	if k.phase == idle || k.phase == ended {
		return
	}
	if k.phase == connected && time.Since(k.connectedAt) > settledAfter {
		k.earlyRestarts = 0
	}
	k.broken("stream_error_515")
	client.Disconnect()
	k.backoff.attempts = max(k.backoff.attempts, k.earlyRestarts)
	k.earlyRestarts++
	k.retryLater()
}

// outdated: WhatsApp has refused the version of WhatsApp Web. The session ends only when the newest version is refused.
func (k *keeper) outdated(client *whatsmeow.Client) {
	if k.phase == idle || k.phase == ended || k.retry != nil {
		return
	}
	if k.s.shared.Versions.IsFixed() {
		k.end(contract.SessionChanged_OUTDATED, "fixed_version_outdated")
		return
	}
	refused := *k.s.webVersion.Load()
	if k.phase != pairing {
		k.broken("client_outdated")
	}
	client.Disconnect()
	go func() {
		answer := k.s.shared.Versions.Renew(k.s.ctx, refused)
		k.do(func() {
			if client == k.s.current() && k.retry == nil && k.phase != idle && k.phase != ended {
				k.renewed(answer)
			}
		})
	}()
}

func (k *keeper) renewed(answer webversion.Answer) {
	switch {
	case answer == webversion.Newer && k.phase == pairing:
		k.connect()
	case answer == webversion.Newer:
		k.retryLater()
	case answer == webversion.Unknown && k.phase != pairing && k.versionsUnknown < versionTries:
		k.versionsUnknown++
		k.backoff.attempts = max(k.backoff.attempts, refusedBackoff)
		k.retryLater()
	default:
		k.end(contract.SessionChanged_OUTDATED, "client_outdated")
	}
}
