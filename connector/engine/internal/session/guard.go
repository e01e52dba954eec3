package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"threadline/engine/internal/database"
)

// guard stands between whatsmeow and the store where a failure of the database would cost a message: whatsmeow takes any failure while it
// decrypts for a message that cannot be decrypted, acknowledges it, and leaves it to its sender. Here it is tried again for a while; then
// the error says that the work was cancelled, which makes whatsmeow leave the message unanswered, and the connection is reset, so that
// WhatsApp hands it over again.
func (s *Session) guard(device *store.Device) {
	if _, guarded := device.EventBuffer.(guardedBuffer); guarded {
		return
	}
	device.EventBuffer = guardedBuffer{EventBuffer: device.EventBuffer, session: s}
	device.Sessions = guardedSessions{SessionStore: device.Sessions, session: s}
	device.LIDs = guardedLIDs{LIDStore: device.LIDs, session: s}
}

var errGivenBack = fmt.Errorf("the store has failed, the message is given back: %w", context.Canceled)

type guardedBuffer struct {
	store.EventBuffer
	session *Session
}

func (g guardedBuffer) GetBufferedEvent(ctx context.Context, hash [32]byte) (found *store.BufferedEvent, err error) {
	err = g.session.guarded("reading a decrypted message", func() error {
		found, err = g.EventBuffer.GetBufferedEvent(ctx, hash)
		return err
	})
	return found, err
}

func (g guardedBuffer) DoDecryptionTxn(ctx context.Context, decrypt func(context.Context) error) error {
	return g.session.guarded("decrypting a message", func() error { return g.EventBuffer.DoDecryptionTxn(ctx, decrypt) })
}

// guardedSessions guards the move of a contact's ratchet from its number to its LID, whose failure whatsmeow only logs.
type guardedSessions struct {
	store.SessionStore
	session *Session
}

func (g guardedSessions) MigratePNToLID(ctx context.Context, number, lid types.JID) error {
	return g.session.guarded("moving a ratchet", func() error { return g.SessionStore.MigratePNToLID(ctx, number, lid) })
}

// guardedLIDs guards the look-up that says under which name a ratchet stands, whose failure whatsmeow only logs.
type guardedLIDs struct {
	store.LIDStore
	session *Session
}

func (g guardedLIDs) GetLIDForPN(ctx context.Context, number types.JID) (lid types.JID, err error) {
	err = g.session.guarded("looking a LID up", func() error {
		lid, err = g.LIDStore.GetLIDForPN(ctx, number)
		return err
	})
	return lid, err
}

// guarded tries again what failed by the database's fault.
func (s *Session) guarded(what string, work func() error) error {
	if s.broken.Load() {
		return errGivenBack
	}
	began := time.Now()
	for wait := saveAgainFirst; ; wait = min(2*wait, saveAgainMost) {
		err := work()
		if err == nil || errors.Is(err, context.Canceled) || !database.IsFailure(err) {
			return err
		}
		s.log.StoreFailed(what, err)
		if time.Since(began)+wait > time.Duration(patient) {
			s.giveBack()
			return errGivenBack
		}
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return errGivenBack
		}
	}
}
