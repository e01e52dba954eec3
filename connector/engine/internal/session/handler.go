package session

import (
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"threadline/engine/contract"
	"threadline/engine/internal/database"
	"threadline/engine/internal/failpoint"
	"threadline/engine/internal/incoming"
	"threadline/engine/internal/pace"
)

// patience says how long the saving of an event is tried.
type patience int

const (
	patient  patience = iota // for a while: WhatsApp hands over again what is not acknowledged
	stubborn                 // until the session is closed: it never comes again
)

const (
	saveAgainFirst = 50 * time.Millisecond
	saveAgainMost  = 2 * time.Second
)

// handle is called by whatsmeow with everything that happens. Its answer decides whether WhatsApp is told that an event was taken.
func (s *Session) handle(client *whatsmeow.Client, event any) (taken bool) {
	stanza := s.stanzaOf(event)
	defer func() {
		if recovered := recover(); recovered != nil { // whatsmeow would take a panic for success
			s.log.HandlerPanicked(event, recovered)
			taken = s.mishandled(client, stanza, panicked)
		} else if !taken && s.wasRefused.Swap(false) {
			taken = s.mishandled(client, stanza, refused)
		}
	}()
	switch event := event.(type) {
	case *events.Message:
		return s.messageCame(client, event)
	case *events.Receipt:
		wire := s.wires.Take("receipt", event.MessageIDs[0])
		if !event.IsFromMe {
			client.StoreLIDPNMapping(s.ctx, event.Chat.ToNonAD(), event.SenderAlt.ToNonAD())
		}
		return s.keep(incoming.Receipt(s.ctx, client.Store.LIDs, event, wire), patient)
	case *events.CallOffer:
		return s.callCame(client, event.BasicCallMeta)
	case *events.CallOfferNotice:
		return s.callCame(client, event.BasicCallMeta)
	case *events.OfflineSyncPreview:
		s.audit.announced(event.Messages)
	case *events.OfflineSyncCompleted:
		s.audit.delivered()
	case *events.UndecryptableMessage:
		// Under this id the message itself comes, when its sender or the phone has sent it again. audit.answering has told so.
		s.log.Undecryptable(event.IsUnavailable, s.undecryptables.Add(1))
	case *events.NotifyAccountReachoutTimelock:
		s.feed.tell(incoming.ReachoutLock(event))
	default:
		s.groups.heard(event)
		s.keeper.heard(client, event)
	}
	return true
}

func (s *Session) messageCame(client *whatsmeow.Client, message *events.Message) bool {
	failpoint.PanicAt(failpoint.InboxEntry, message.Info.ID)
	if notification := message.Message.GetProtocolMessage().GetHistorySyncNotification(); notification != nil && message.Info.IsFromMe {
		failpoint.Pass(failpoint.InboxEntry)
		return s.persist("history", stubborn, func() error { return s.saveHistory(s.ctx, client, notification) }) &&
			s.audit.handled(message.Info.ID, nothingToDo)
	}
	if share := message.Message.GetProtocolMessage().GetAppStateSyncKeyShare(); share != nil && incoming.IsPeer(message) {
		if !s.persist("app_state_keys", stubborn, func() error { return saveAppStateKeys(s.ctx, client.Store, share) }) {
			return false
		}
	}
	s.ownNameIn(client, message)
	how := patient
	if incoming.IsPeer(message) {
		how = stubborn
	}
	if !s.timerCame(client, message, how) {
		return false
	}
	event := s.messageEvent(s.ctx, client, message)
	switch {
	case event == nil && incoming.IsKeyDistribution(message.RawMessage):
		return s.audit.keysCame(message.Info.ID)
	case event == nil:
		return s.audit.handled(message.Info.ID, nothingToDo)
	case message.SourceWebMsg != nil: // no stanza: a message that the phone has handed over
		return s.keep(event, how)
	default:
		return s.audit.keep(message.Info.ID, event, how)
	}
}

// callCame saves a call. whatsmeow acknowledges it whatever its handler says: what keeps the ack of a call back that is not saved is
// observer.holdBack.
func (s *Session) callCame(client *whatsmeow.Client, call types.BasicCallMeta) bool {
	wire := s.wires.Take("call", call.CallID)
	client.StoreLIDPNMapping(s.ctx, call.From.ToNonAD(), call.CallCreatorAlt.ToNonAD())
	return s.keep(incoming.Call(s.ctx, s.names(client), s.groupName(client), call, wire), patient)
}

// keep makes an event durable, and says whether it is. There is nothing to keep of nil.
func (s *Session) keep(event *contract.Event, how patience, others ...database.Statement) bool {
	if event == nil {
		return true
	}
	failpoint.Pass(failpoint.InboxEntry)
	kind := "receipt"
	switch {
	case event.GetMessage() != nil:
		kind = "message"
	case event.GetAwaited() != nil:
		kind = "awaited"
	}
	return s.persist(kind, how, func() error { return s.box.AppendWith(s.ctx, event, others...) })
}

// persist tries to save something until it is saved, the patience is used up, or the session ends. What the store refuses for good is
// not tried again: wasRefused says so then.
func (s *Session) persist(kind string, how patience, save func() error) bool {
	if s.broken.Load() && how != stubborn {
		return false // one before it was given back: it would overtake
	}
	began := time.Now()
	for wait := saveAgainFirst; ; wait = min(2*wait, saveAgainMost) {
		err := save()
		switch {
		case err == nil:
			return true
		case s.ctx.Err() != nil || s.term.Err() != nil:
			return false
		}
		s.log.EventNotSaved(kind, err)
		if database.IsRefusal(err) {
			s.wasRefused.Store(true)
			return false
		}
		if how != stubborn && time.Since(began)+wait > pace.StorePatience {
			s.log.EventGivenBack(kind)
			s.giveBack()
			return false
		}
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return false
		}
	}
}

// giveBack has WhatsApp hand over again what it was not told to be saved: it does so on the next connection.
func (s *Session) giveBack() {
	if !s.broken.Swap(true) {
		client := s.current()
		s.keeper.do(func() { s.keeper.fail(client, "store_failed") })
	}
}
