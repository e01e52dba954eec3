package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"threadline/engine/internal/database"
	"threadline/engine/internal/outbound"
	"threadline/engine/internal/pace"
)

// guard stands between whatsmeow and the store where a failure of the database would cost a message: whatsmeow takes any failure while it
// decrypts for a message that cannot be decrypted, and one while it asks the phone for a message only for bad luck; it acknowledges the
// message, and leaves it to its sender. Here it is tried again for a while. Then nothing is acknowledged any more on this connection (see
// observer.Sending), and the connection is reset, so that WhatsApp hands over again what was not.
func (s *Session) guard(device *store.Device) {
	if _, guarded := device.EventBuffer.(guardedBuffer); guarded {
		return
	}
	device.EventBuffer = guardedBuffer{EventBuffer: device.EventBuffer, session: s}
	device.Sessions = guardedSessions{SessionStore: device.Sessions, session: s}
	device.Identities = guardedIdentities{IdentityStore: device.Identities, session: s}
	device.LIDs = guardedLIDs{LIDStore: device.LIDs, session: s}
}

var errGivenBack = fmt.Errorf("the store has failed, the message is given back: %w", context.Canceled)

// whatsmeow removes all keys of a person by a pattern that begins with the person's name (LIKE). A name that is a pattern itself would
// remove those of everybody.
func isPattern(name string) bool { return strings.Contains(name, "%") }

var errPattern = errors.New("the name is a pattern")

type guardedBuffer struct {
	store.EventBuffer
	session *Session
}

func (g guardedBuffer) GetBufferedEvent(ctx context.Context, hash [32]byte) (found *store.BufferedEvent, err error) {
	err = g.session.guarded(ctx, "reading a decrypted message", func() error {
		found, err = g.EventBuffer.GetBufferedEvent(ctx, hash)
		return err
	})
	if err == nil && found != nil && found.Plaintext == nil {
		g.session.audit.repeated.Store(true)
	}
	return found, err
}

func (g guardedBuffer) DoDecryptionTxn(ctx context.Context, decrypt func(context.Context) error) error {
	// What fails within a transaction is tried again with all of it: the database may have undone it.
	within := context.WithValue(ctx, withinGuard{}, true)
	g.session.ratchets.Lock()
	defer g.session.ratchets.Unlock()
	return g.session.guarded(ctx, "decrypting a message", func() error { return g.EventBuffer.DoDecryptionTxn(within, decrypt) })
}

// guardedSessions guards the ratchets.
type guardedSessions struct {
	store.SessionStore
	session *Session
}

func (g guardedSessions) GetSession(ctx context.Context, address string) (found []byte, err error) {
	err = g.session.guarded(ctx, "reading a ratchet", func() error {
		found, err = g.SessionStore.GetSession(ctx, address)
		return err
	})
	return found, err
}

// GetManySessions is where the encryption of a send begins: the ratchets it loads are nobody else's until they are stored again, which is
// before the frame goes to the socket. Else a message that is decrypted in between puts the ratchet back that it has loaded itself, and the
// next send encrypts with the same key once more: its recipient takes it for one that he has.
func (g guardedSessions) GetManySessions(ctx context.Context, addresses []string) (found map[string][]byte, err error) {
	g.session.ratchets.Lock()
	if !outbound.UntilFrame(ctx, g.session.ratchets.Unlock) {
		g.session.ratchets.Unlock()
	}
	err = g.session.guarded(ctx, "reading ratchets", func() error {
		found, err = g.SessionStore.GetManySessions(ctx, addresses)
		return err
	})
	return found, err
}

func (g guardedSessions) HasSession(ctx context.Context, address string) (found bool, err error) {
	err = g.session.guarded(ctx, "reading a ratchet", func() error {
		found, err = g.SessionStore.HasSession(ctx, address)
		return err
	})
	return found, err
}

func (g guardedSessions) PutSession(ctx context.Context, address string, session []byte) error {
	return g.session.guarded(ctx, "writing a ratchet", func() error { return g.SessionStore.PutSession(ctx, address, session) })
}

func (g guardedSessions) DeleteAllSessions(ctx context.Context, name string) error {
	if isPattern(name) {
		return errPattern
	}
	return g.SessionStore.DeleteAllSessions(ctx, name)
}

func (g guardedSessions) MigratePNToLID(ctx context.Context, number, lid types.JID) error {
	if isPattern(number.User) || isPattern(lid.User) {
		return errPattern
	}
	return g.session.guarded(ctx, "moving a ratchet", func() error { return g.SessionStore.MigratePNToLID(ctx, number, lid) })
}

// guardedIdentities guards the keys that people are known by: encrypting writes them, too.
type guardedIdentities struct {
	store.IdentityStore
	session *Session
}

func (g guardedIdentities) DeleteAllIdentities(ctx context.Context, name string) error {
	if isPattern(name) {
		return errPattern
	}
	return g.IdentityStore.DeleteAllIdentities(ctx, name)
}

func (g guardedIdentities) PutIdentity(ctx context.Context, address string, key [32]byte) error {
	return g.session.guarded(ctx, "writing an identity", func() error { return g.IdentityStore.PutIdentity(ctx, address, key) })
}

func (g guardedIdentities) IsTrustedIdentity(ctx context.Context, address string, key [32]byte) (trusted bool, err error) {
	err = g.session.guarded(ctx, "reading an identity", func() error {
		trusted, err = g.IdentityStore.IsTrustedIdentity(ctx, address, key)
		return err
	})
	return trusted, err
}

// guardedLIDs guards the look-up that says under which name a ratchet stands, whose failure whatsmeow only logs.
type guardedLIDs struct {
	store.LIDStore
	session *Session
}

func (g guardedLIDs) GetLIDForPN(ctx context.Context, number types.JID) (lid types.JID, err error) {
	err = g.session.guarded(ctx, "looking a LID up", func() error {
		lid, err = g.LIDStore.GetLIDForPN(ctx, number)
		return err
	})
	return lid, err
}

// withinGuard marks the context of what is guarded as a whole.
type withinGuard struct{}

// guarded tries again what failed by the database's fault.
func (s *Session) guarded(ctx context.Context, what string, work func() error) error {
	if ctx.Value(withinGuard{}) != nil {
		return work()
	}
	if s.broken.Load() {
		return errGivenBack
	}
	began := time.Now()
	for wait := saveAgainFirst; ; wait = min(2*wait, saveAgainMost) {
		err := work()
		if err != nil && s.term.Err() != nil {
			return errGivenBack
		}
		if err == nil || errors.Is(err, context.Canceled) || !database.IsFailure(err) {
			return err
		}
		s.log.StoreFailed(what, err)
		if time.Since(began)+wait > pace.StorePatience {
			s.giveBack()
			return errGivenBack
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return errGivenBack
		}
	}
}
