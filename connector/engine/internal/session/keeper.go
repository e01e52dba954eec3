package session

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/socket"
	"go.mau.fi/whatsmeow/types/events"

	"threadline/engine/contract"
	"threadline/engine/internal/crash"
)

// phase is what a session is at.
type phase int

const (
	idle       phase = iota // no device is linked
	pairing                 // codes are shown
	linking                 // the phone has accepted; WhatsApp asks for a new connection
	connecting              // for the first time, or since the session was opened again
	connected
	reconnecting
	ended // replaced, banned or outdated: until somebody asks
)

const (
	relinkWithin   = 10 * time.Second
	unlinkWithin   = 3 * time.Second
	logoutWithin   = 5 * time.Second
	refusedBackoff = 5 // attempts that a connection counts for which WhatsApp refused with a code of its own
)

const (
	connectingState   = contract.SessionChanged_CONNECTING
	connectedState    = contract.SessionChanged_CONNECTED
	reconnectingState = contract.SessionChanged_RECONNECTING
)

// keeper brings a session's connection about and holds it. All of it runs on one thread, task by task, so that what happens is told in
// order; whatsmeow's events, which come on threads of their own and sometimes late, are checked against what is so.
type keeper struct {
	s       *Session
	mail    *mailbox
	phase   phase
	backoff backoff
	retry   *time.Timer
	pairing *pairingCodes
	banEnds time.Time
	// passkeyExpired: the latest pairing has ended because nobody answered the passkey's request in time.
	passkeyExpired bool

	connectedAt     time.Time
	earlyRestarts   int // connections in a row that WhatsApp restarted soon
	versionsUnknown int // refusals of the version in a row, without a word on which is the newest
}

func newKeeper(s *Session) *keeper {
	return &keeper{s: s, mail: newMailbox()}
}

// do has the keeper do something, after what it has to do already.
func (k *keeper) do(task func()) { k.mail.put(task) }

// run has a crash of whatever it starts, of whatsmeow's threads above all, name the account.
func (k *keeper) run() {
	crash.Handling(k.s.ctx, k.s.term.Account, func(context.Context) { k.work() })
}

func (k *keeper) work() {
	defer close(k.s.closed)
	k.do(k.start)
	for {
		select {
		case <-k.mail.come:
			for _, task := range k.mail.take() {
				if k.s.ctx.Err() != nil {
					break
				}
				task()
			}
		case <-k.s.ctx.Done():
			k.stopTimers()
			k.s.current().Disconnect()
			return
		}
	}
}

func (k *keeper) start() {
	if _, linked := k.s.Linked(); linked && k.s.heldFor > 0 {
		k.phase = ended
		k.tell(contract.SessionChanged_QUARANTINED, "engine_crashed")
		k.after(k.s.heldFor, k.tryAgain)
	} else if linked {
		k.phase = connecting
		k.tell(connectingState, "")
		k.connect()
	} else if k.s.mark.IsBehind() {
		k.tell(contract.SessionChanged_LOGGED_OUT, "store_behind")
	}
}

func (k *keeper) tryAgain() {
	if k.phase == ended {
		k.s.heldFor = 0
		k.backoff.reset()
		k.start()
	}
}

// heard takes in whatsmeow's events about the session. It runs on whatsmeow's threads.
func (k *keeper) heard(client *whatsmeow.Client, event any) {
	k.do(func() {
		if client == k.s.current() {
			k.take(client, event)
		}
	})
}

func (k *keeper) take(client *whatsmeow.Client, event any) {
	switch event := event.(type) {
	case *events.QR:
		k.codesCame(event.Codes)
	case *events.RotateADVSecret:
		k.secretChanged(event.OldSecret, event.NewSecret)
	case *events.PairSuccess:
		k.linked(event.ID)
	case *events.PairError:
		k.endPairing(contract.PairingEnded_FAILED, "refused")
	case *events.QRScannedWithoutMultidevice:
		k.endPairing(contract.PairingEnded_FAILED, "no_multidevice")
	case *events.PairPasskeyRequest:
		k.passkeyWanted(event.PublicKey)
	case *events.PairPasskeyConfirmation:
		k.confirmPasskey(client, event)
	case *events.PairPasskeyError:
		k.endPairing(contract.PairingEnded_FAILED, "passkey_failed")
	case *events.ManualLoginReconnect:
		k.restarted(client)
	case *events.Connected:
		k.connectedNow()
	case *events.AppStateSyncComplete:
		if event.Name == appstate.WAPatchCriticalBlock { // the account's name is in it
			k.s.announce(client)
		}
	case *events.PushNameSetting:
		k.s.announce(client)
	case *events.Disconnected:
		k.lost()
	case *events.KeepAliveTimeout:
		k.fail(client, "keepalive_timeout")
	case *events.StreamError:
		k.fail(client, word("stream_error", event.Code))
	case *events.ConnectFailure:
		k.refused(word("connect_failure", event.Reason.NumberString()))
	case *events.StreamReplaced:
		k.end(contract.SessionChanged_REPLACED, "conflict")
	case *events.TemporaryBan:
		k.banned(event.Expire)
	case *events.ClientOutdated:
		k.outdated(client)
	case *events.LoggedOut:
		k.loggedOut(event)
	}
}

// connect tries once. A device that is being paired goes on with its codes; others, with whatsmeow's Connected.
func (k *keeper) connect() {
	k.stopRetry()
	s := k.s
	if s.current().IsConnected() {
		s.current().Disconnect()
	}
	s.gate.Reset()
	s.wires.Reset()
	s.audit.reset()
	s.care.reset()
	s.authenticated.Store(false)
	s.broken.Store(false)
	err := s.current().ConnectContext(s.ctx)
	if err == nil || s.ctx.Err() != nil {
		return
	}
	reason := "handshake_failed" // whoever answered there is not WhatsApp, or not any more
	if errors.Is(err, socket.ErrDialFailed) {
		reason = "connect_failed"
	}
	if k.phase == pairing {
		k.endPairing(contract.PairingEnded_FAILED, reason)
		return
	}
	k.broken(reason)
	k.retryLater()
}

func (k *keeper) connectedNow() {
	// whatsmeow says so even when the connection was lost while it got ready.
	if !k.s.authenticated.Load() || (k.phase != connecting && k.phase != reconnecting && k.phase != linking) {
		return
	}
	k.stopRetry()
	k.phase = connected
	k.backoff.reset()
	k.connectedAt = time.Now()
	k.versionsUnknown = 0
	k.s.setConnected(true)
	k.tell(connectedState, "")
	k.s.announce(k.s.current())
	k.s.fetchOwnName(k.s.current())
	k.s.takeHistory()
}

// lost is the end of a connection that nobody here has ended for good.
func (k *keeper) lost() {
	switch {
	case k.phase == idle || k.phase == ended || k.s.current().IsConnected(): // the last is a connection that was given up before
		return
	case k.phase == pairing:
		k.pairingCutOff()
		return
	}
	k.broken("disconnected")
	if k.retry == nil {
		k.retryLater()
	}
}

// fail gives a connection up, for a reason that is known before it ends.
func (k *keeper) fail(client *whatsmeow.Client, reason string) {
	if client != k.s.current() || k.retry != nil || k.phase == idle || k.phase == ended || k.phase == pairing {
		return
	}
	k.broken(reason)
	client.Disconnect()
	k.retryLater()
}

// refused is a connection that WhatsApp did not let in, for a reason that this program has no state for: it may pass.
func (k *keeper) refused(reason string) {
	if k.phase == pairing {
		k.endPairing(contract.PairingEnded_FAILED, reason)
		return
	}
	if k.phase == idle || k.phase == ended {
		return
	}
	k.broken(reason)
	k.s.current().Disconnect()
	k.backoff.attempts = max(k.backoff.attempts, refusedBackoff)
	k.retryLater()
}

// broken tells that there is no connection, once for each that there was.
func (k *keeper) broken(reason string) {
	k.s.setConnected(false)
	k.s.authenticated.Store(false)
	if k.phase != reconnecting {
		k.phase = reconnecting
		k.tell(reconnectingState, reason)
	}
}

func (k *keeper) retryLater() {
	k.after(k.backoff.next(), k.connect)
}

// end is the session's end for good, until a person acts or it is opened again.
func (k *keeper) end(state contract.SessionChanged_State, reason string) {
	if k.phase == pairing {
		k.endPairing(contract.PairingEnded_FAILED, reason)
		return
	}
	k.stopTimers()
	k.phase = ended
	k.s.setConnected(false)
	k.tell(state, reason)
	k.s.current().Disconnect()
}

// banned: WhatsApp says for how long, or 0.
func (k *keeper) banned(expire time.Duration) {
	k.banEnds = time.Time{}
	if expire > 0 {
		k.banEnds = time.Now().Add(expire)
	}
	k.end(contract.SessionChanged_BANNED, "temporary_ban")
}

// takenOver: the store knows a higher epoch. Nothing of this session's leaves any more, for store or socket.
func (k *keeper) takenOver() {
	if k.phase == ended {
		return
	}
	k.s.log.Fenced()
	k.s.sends.Close()
	k.end(contract.SessionChanged_REPLACED, "taken_over")
}

// loggedOut: the device was removed, at the phone or by WhatsApp; whatsmeow has deleted it, or is about to.
func (k *keeper) loggedOut(event *events.LoggedOut) {
	if k.phase == pairing {
		k.endPairing(contract.PairingEnded_FAILED, "logged_out")
		return
	}
	reason := "device_removed"
	if event.OnConnect {
		reason = word("connect_failure", event.Reason.NumberString())
	}
	k.s.setConnected(false)
	k.stopTimers()
	k.phase = idle
	if err := k.forgetDevice(k.s.ctx); err != nil {
		k.s.log.StoreFailed("forgetting the device", err)
	}
	k.tell(contract.SessionChanged_LOGGED_OUT, reason)
}

// logOut unlinks the device at WhatsApp, if that can be reached, and here in any case. It tells no event: its caller knows.
func (k *keeper) logOut() error {
	if k.phase == pairing {
		k.stopTimers()
		k.s.current().Disconnect()
		k.phase = idle
	}
	if _, linked := k.s.Linked(); !linked {
		return nil
	}
	ctx, cancel := context.WithTimeout(k.s.ctx, logoutWithin)
	defer cancel()
	unlinked := ErrNotConnected
	if k.phase == connected {
		unlinked = k.s.current().Logout(ctx)
	}
	if unlinked != nil {
		k.s.log.NotUnlinked(unlinked)
	}
	if err := k.forgetDevice(k.s.ctx); err != nil {
		return err
	}
	k.stopTimers()
	k.s.setConnected(false)
	k.phase = idle
	k.s.feed.forget()
	return nil
}

// forgetDevice removes what is left of a device, and makes a new one ready to be paired.
func (k *keeper) forgetDevice(ctx context.Context) error {
	client := k.s.current()
	client.Disconnect()
	if !client.Store.Deleted && client.Store.ID != nil {
		if err := client.Store.Delete(ctx); err != nil {
			return err
		}
	}
	k.s.historyLinked.Lock()
	defer k.s.historyLinked.Unlock()
	if err := k.s.archive.Forget(ctx); err != nil {
		return err
	}
	if err := k.s.shared.Accounts.Unlink(ctx, k.s.term.Account); err != nil {
		return err
	}
	k.s.replaceClient(k.s.newClient(k.s.shared.DB.Devices.NewDevice()))
	return nil
}

func (k *keeper) tell(state contract.SessionChanged_State, reason string) {
	changed := &contract.SessionChanged{State: state, Reason: reason}
	if phone, linked := k.s.Linked(); linked && state == connectedState {
		changed.PhoneE164 = phone
		changed.Device = linkedDevice(k.s.current().Store)
	}
	if state == contract.SessionChanged_BANNED && !k.banEnds.IsZero() {
		changed.BanEndsAtUnixS = k.banEnds.Unix()
	}
	k.s.log.StateChanged(state.String(), reason)
	k.s.feed.tell(&contract.Event{Kind: &contract.Event_Session{Session: changed}})
}

// after has the keeper do something later, in place of what it was to do later before.
func (k *keeper) after(wait time.Duration, task func()) {
	k.stopRetry()
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		k.do(func() {
			if k.retry == timer { // not stopped in the meantime
				k.retry = nil
				task()
			}
		})
	})
	k.retry = timer
}

func (k *keeper) stopRetry() {
	if k.retry != nil {
		k.retry.Stop()
		k.retry = nil
	}
}

func (k *keeper) stopTimers() {
	k.stopRetry()
	if k.pairing != nil {
		k.pairing.stop()
		k.pairing = nil
	}
}
