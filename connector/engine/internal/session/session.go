// Package session keeps one account's session with WhatsApp, for as long as one owner's term has it open.
package session

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"threadline/engine/contract"
	"threadline/engine/internal/accounts"
	"threadline/engine/internal/database"
	"threadline/engine/internal/failpoint"
	"threadline/engine/internal/history"
	"threadline/engine/internal/identity"
	"threadline/engine/internal/inbox"
	"threadline/engine/internal/journal"
	"threadline/engine/internal/nodes"
	"threadline/engine/internal/outbound"
	"threadline/engine/internal/quarantine"
	"threadline/engine/internal/term"
	"threadline/engine/internal/wanet"
	"threadline/engine/internal/webversion"
)

var (
	// ErrPaired says that a device is linked already.
	ErrPaired = errors.New("the account is paired already")
	// ErrNotConnected says that the session is not connected.
	ErrNotConnected = errors.New("the session is not connected")
	// ErrClosed says that the session was closed.
	ErrClosed = errors.New("the session is closed")
	// ErrNotHanded says that no event of this sequence was handed over.
	ErrNotHanded = errors.New("no event of this sequence was handed over")
)

const disconnectWithin = 3 * time.Second

// Shared is what all sessions of an engine have in common.
type Shared struct {
	DB       *database.Database
	Accounts *accounts.Registry
	Way      *wanet.Way
	Versions *webversion.Versions
	// HistoryBytes is how much of each account's history is kept.
	HistoryBytes int64
}

// Session is an account's, in one owner's term.
type Session struct {
	term   *term.Term
	shared Shared
	http   *http.Client
	log    journal.Account
	box    *inbox.Inbox
	mark   *accounts.Mark
	feed   *feed
	sends  *outbound.Queue
	keeper *keeper
	// lookups is what WhatsApp was asked about numbers without a LID.
	lookups *identity.Lookups

	ctx    context.Context
	cancel context.CancelFunc
	closed chan struct{} // the keeper has ended

	mu        sync.Mutex
	client    *whatsmeow.Client
	connected bool
	changed   chan struct{} // closed, and made anew, when `connected` changes

	ratchets       sync.Mutex // held from the loading of ratchets to their storing
	gate           *nodes.Gate
	wires          *nodes.Wires
	authenticated  atomic.Bool // WhatsApp has let this connection in
	broken         atomic.Bool // an event could not be saved: nothing more is taken on this connection
	wasRefused     atomic.Bool // the store has refused for good what was to be saved last
	quarantined    *quarantine.Stanzas
	care           *care         // nil where the process has not crashed lately while it handled the account
	heldFor        time.Duration // how long the account must not connect, since the process has crashed at it repeatedly
	audit          *audit
	groups         *groupNames
	timers         timers
	phone          phoneSight
	undecryptables atomic.Uint64
	webVersion     atomic.Pointer[webversion.Version] // that of the latest connection
	historyWanted  atomic.Bool                        // there may be history to take
	historyTaken   atomic.Bool                        // a thread takes it
	historyLinked  sync.Mutex                         // held from the look whose device the client is to the writing of its history, and while it is unlinked
	archive        *history.Archive
}

// Open claims the account for the term, and starts to connect where a device is linked, unless the store is an older one than `knownMark`
// tells of. `over` is called when the term's end has come.
func Open(ctx context.Context, shared Shared, owner *term.Term, knownMark uint64, over func(*Session)) (*Session, error) {
	ctx = term.With(ctx, owner)
	claimed, err := shared.Accounts.Claim(ctx, owner, knownMark)
	if err != nil {
		return nil, err
	}
	s := &Session{
		term: owner, shared: shared, log: journal.For(owner.Account), mark: claimed.Mark,
		closed: make(chan struct{}), changed: make(chan struct{}),
		gate: nodes.NewGate(), wires: nodes.NewWires(),
	}
	s.feed = &feed{log: s.log}
	s.box, err = inbox.Open(ctx, shared.DB, owner.Account, s.feed.more)
	if err != nil {
		return nil, err
	}
	s.feed.box = s.box
	s.archive = history.Open(shared.DB, owner.Account, shared.HistoryBytes)
	s.audit = newAudit(s)
	if err := s.openQuarantine(ctx); err != nil {
		return nil, err
	}
	device, err := s.device(ctx, claimed.Device)
	if err != nil {
		return nil, err
	}
	if s.mark.IsBehind() {
		if device, err = s.withoutOldKeys(ctx, device); err != nil {
			return nil, err
		}
	}
	s.ctx, s.cancel = context.WithCancel(term.With(context.Background(), owner))
	s.groups = newGroupNames(s.ctx)
	s.lookups = identity.NewLookups()
	s.timers = timers{db: shared.DB, account: owner.Account}
	s.http = shared.Way.Client(s.ctx)
	s.sends = outbound.NewQueue(owner, s.sender, s.timerOf)
	s.client = s.newClient(device)
	if device.ID != nil {
		if err := s.recoverPeerMessages(ctx); err != nil {
			s.cancel()
			return nil, err
		}
	}
	s.keeper = newKeeper(s)
	go s.keeper.run()
	owner.WhenTakenOver(func() { s.keeper.do(s.keeper.takenOver) })
	s.watchEnd(over)
	return s, nil
}

func (s *Session) openQuarantine(ctx context.Context) (err error) {
	account := s.term.Account
	if s.quarantined, err = quarantine.OpenStanzas(ctx, s.shared.DB, account); err != nil {
		return err
	}
	crashes, err := quarantine.CrashesOf(ctx, s.shared.DB, account)
	if err != nil {
		return err
	}
	s.heldFor = crashes.HeldFor()
	if until := crashes.CareUntil(); time.Now().Before(until) {
		s.care = &care{s: s, until: until}
	}
	return nil
}

// watchEnd calls `over` at the term's end, wherever it is by then.
func (s *Session) watchEnd(over func(*Session)) {
	time.AfterFunc(max(s.term.Left(), 0), func() {
		switch {
		case s.ctx.Err() != nil:
		case s.term.IsOver():
			s.log.TermOver()
			over(s)
		default:
			s.watchEnd(over)
		}
	})
}

// Term is the owner's.
func (s *Session) Term() *term.Term { return s.term }

// StoreMark is how far the account's store has come. See accounts.Mark.
func (s *Session) StoreMark() uint64 { return s.mark.Value(s.box.Last()) }

// Linked gives the number of the linked device, and whether there is one.
func (s *Session) Linked() (string, bool) {
	device := s.current().Store
	if jid := device.GetJID(); !jid.IsEmpty() && !device.Deleted {
		return identity.PhoneE164(jid), true
	}
	return "", false
}

// TryAgain connects a session that WhatsApp had ended, if the device is still linked.
func (s *Session) TryAgain() { s.keeper.do(s.keeper.tryAgain) }

// Attach begins a stream of the session's events, which ends the one before.
func (s *Session) Attach() *Stream { return s.feed.attach() }

// Acknowledge removes the events up to and including a sequence.
func (s *Session) Acknowledge(ctx context.Context, sequence uint64) error {
	if sequence > s.box.Last() {
		return ErrNotHanded
	}
	failpoint.Pass(failpoint.AckBefore)
	if err := s.box.Acknowledge(term.With(ctx, s.term), sequence); err != nil {
		return err
	}
	failpoint.Pass(failpoint.AckAfter)
	return nil
}

// Pair starts pairing: by QR, or, with a number, by a code for that number.
func (s *Session) Pair(ctx context.Context, phoneE164 string) error {
	return s.ask(ctx, func() error { return s.keeper.pair(phoneE164) })
}

// Send sends a text. See outbound.Queue.
func (s *Session) Send(ctx context.Context, request outbound.Request) (outbound.Result, error) {
	result, err := s.sends.Send(ctx, request)
	if err == nil && result.Outcome != contract.SendResponse_SENT {
		s.log.SendEnded(result.Outcome.String(), result.Reason)
	}
	return result, err
}

// IsOnWhatsApp gives the JID of a number that is on WhatsApp.
func (s *Session) IsOnWhatsApp(ctx context.Context, phoneE164 string) (types.JID, bool, error) {
	client := s.connectedClient()
	if client == nil {
		return types.JID{}, false, ErrNotConnected
	}
	ctx = term.With(ctx, s.term)
	answers, err := client.IsOnWhatsApp(ctx, []string{phoneE164})
	if err != nil {
		return types.JID{}, false, err
	}
	if len(answers) == 0 || !answers[0].IsIn {
		return types.JID{}, false, nil
	}
	return identity.Of(ctx, client.Store.LIDs, answers[0].JID, types.EmptyJID).Canonical(), true, nil
}

// MarkRead tells a contact that their messages were read. WhatsApp addresses persons by LID, so the receipt goes there where it is known.
func (s *Session) MarkRead(ctx context.Context, chat types.JID, ids []string) error {
	client := s.connectedClient()
	if client == nil {
		return ErrNotConnected
	}
	to := identity.Of(ctx, client.Store.LIDs, chat, types.EmptyJID).Canonical()
	return client.MarkRead(term.With(ctx, s.term), ids, time.Now(), to, to)
}

// Logout unlinks the device and forgets the session; its events stay.
func (s *Session) Logout(ctx context.Context) error {
	if _, linked := s.Linked(); linked {
		s.awaitConnected(ctx, unlinkWithin)
	}
	return s.ask(ctx, func() error { return s.keeper.logOut() })
}

// Close ends the session and keeps its store. What `told` says, if anything, is the last that its stream hands over.
func (s *Session) Close(told *contract.SessionChanged) {
	s.sends.Close()
	s.cancel()
	s.setConnected(false)
	if told != nil {
		s.feed.tell(&contract.Event{Kind: &contract.Event_Session{Session: told}})
	}
	s.feed.end()
	select {
	case <-s.closed:
	case <-time.After(disconnectWithin):
	}
	s.term.End()
}

func (s *Session) device(ctx context.Context, linked string) (*store.Device, error) {
	if linked == "" {
		return s.shared.DB.Devices.NewDevice(), nil
	}
	jid, err := types.ParseJID(linked)
	if err != nil {
		return nil, err
	}
	device, err := s.shared.DB.Devices.GetDevice(ctx, jid)
	if err != nil {
		return nil, err
	}
	if device == nil { // cut off while it was paired, or logged out while nobody could write that down
		return s.shared.DB.Devices.NewDevice(), nil
	}
	s.guard(device)
	return device, nil
}

// withoutOldKeys removes a device whose keys were used since this store was written: what is encrypted with them once more, its recipient
// takes for something that he has. The events stay.
func (s *Session) withoutOldKeys(ctx context.Context, old *store.Device) (*store.Device, error) {
	s.log.StoreBehind()
	if old.ID != nil {
		if err := old.Delete(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.archive.Forget(ctx); err != nil {
		return nil, err
	}
	if err := s.shared.Accounts.Unlink(ctx, s.term.Account); err != nil {
		return nil, err
	}
	return s.shared.DB.Devices.NewDevice(), nil
}

// ask has the keeper do something, and waits for its answer.
func (s *Session) ask(ctx context.Context, task func() error) error {
	answer := make(chan error, 1)
	s.keeper.do(func() { answer <- task() })
	select {
	case err := <-answer:
		return err
	case <-s.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Session) current() *whatsmeow.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

func (s *Session) connectedClient() *whatsmeow.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.connected {
		return nil
	}
	return s.client
}

// sender is the client for sends; a nil pointer must not become an interface that is not nil.
func (s *Session) sender() outbound.Client {
	if client := s.connectedClient(); client != nil {
		return client
	}
	return nil
}

func (s *Session) replaceClient(client *whatsmeow.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = client
}

func (s *Session) setConnected(connected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connected != connected {
		s.connected = connected
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

func (s *Session) awaitConnected(ctx context.Context, limit time.Duration) {
	over := time.After(limit)
	for {
		s.mu.Lock()
		connected, changed := s.connected, s.changed
		s.mu.Unlock()
		if connected {
			return
		}
		select {
		case <-changed:
		case <-over:
			return
		case <-s.closed:
			return
		case <-ctx.Done():
			return
		}
	}
}
