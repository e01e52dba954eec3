// Package service serves the engine contract over the sessions that are open here.
package service

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"threadline/engine/contract"
	"threadline/engine/internal/accounts"
	"threadline/engine/internal/outbound"
	"threadline/engine/internal/session"
)

const (
	// A send's caller must have the answer before its own deadline ends the call.
	answerMargin = 300 * time.Millisecond
	// What a send may take whose caller has set no deadline.
	sendWithin = 20 * time.Second
)

// Service holds the open sessions, one an account.
type Service struct {
	contract.UnimplementedEngineServer
	shared session.Shared

	mu       sync.Mutex
	sessions map[string]*session.Session
	opening  map[string]*sync.Mutex // held while an account is opened or closed
	stopped  bool
}

func New(shared session.Shared) *Service {
	return &Service{shared: shared, sessions: map[string]*session.Session{}, opening: map[string]*sync.Mutex{}}
}

func (s *Service) Open(ctx context.Context, request *contract.OpenRequest) (*contract.OpenResponse, error) {
	account, epoch, err := named(request.GetSession())
	if err != nil {
		return nil, err
	}
	turn := s.turn(account)
	turn.Lock()
	defer turn.Unlock()
	current := s.session(account)
	if current != nil && epoch < current.Epoch {
		return nil, errStale
	}
	if current == nil || epoch > current.Epoch {
		if current, err = s.open(ctx, current, account, epoch); err != nil {
			return nil, err
		}
		return opened(current), nil
	}
	answer := opened(current)
	current.TryAgain()
	return answer, nil
}

// open takes the account from its former holder, if there is one.
func (s *Service) open(ctx context.Context, former *session.Session, account string, epoch int64) (*session.Session, error) {
	if former != nil {
		s.put(account, nil)
		former.Close(&contract.SessionChanged{State: contract.SessionChanged_REPLACED, Reason: "taken_over"})
	}
	opened, err := session.Open(ctx, s.shared, account, epoch)
	if err != nil {
		return nil, refusal(err)
	}
	if !s.put(account, opened) {
		opened.Close(nil)
		return nil, status.Error(codes.Unavailable, "the engine stops")
	}
	return opened, nil
}

func (s *Service) Close(_ context.Context, request *contract.CloseRequest) (*contract.CloseResponse, error) {
	account, epoch, err := named(request.GetSession())
	if err != nil {
		return nil, err
	}
	turn := s.turn(account)
	turn.Lock()
	defer turn.Unlock()
	current := s.session(account)
	if current != nil && epoch < current.Epoch {
		return nil, errStale
	}
	if current != nil && epoch == current.Epoch {
		s.put(account, nil)
		current.Close(nil)
	}
	return &contract.CloseResponse{}, nil
}

func (s *Service) Events(request *contract.EventsRequest, stream contract.Engine_EventsServer) error {
	current, err := s.require(request.GetSession())
	if err != nil {
		return err
	}
	return current.Attach().Run(stream.Context(), stream.Send)
}

func (s *Service) Acknowledge(ctx context.Context, request *contract.AcknowledgeRequest) (*contract.AcknowledgeResponse, error) {
	current, err := s.require(request.GetSession())
	if err != nil {
		return nil, err
	}
	if err := current.Acknowledge(ctx, request.GetSequence()); err != nil {
		return nil, refusal(err)
	}
	return &contract.AcknowledgeResponse{}, nil
}

func (s *Service) Pair(ctx context.Context, request *contract.PairRequest) (*contract.PairResponse, error) {
	current, err := s.require(request.GetSession())
	if err != nil {
		return nil, err
	}
	phone := request.GetPhoneE164()
	if phone != "" && !isPhone(phone) {
		return nil, errPhone
	}
	if err := current.Pair(ctx, phone); err != nil {
		return nil, refusal(err)
	}
	return &contract.PairResponse{}, nil
}

func (s *Service) Logout(ctx context.Context, request *contract.LogoutRequest) (*contract.LogoutResponse, error) {
	current, err := s.require(request.GetSession())
	if err != nil {
		return nil, err
	}
	if err := current.Logout(ctx); err != nil {
		return nil, refusal(err)
	}
	return &contract.LogoutResponse{}, nil
}

func (s *Service) Send(ctx context.Context, request *contract.SendRequest) (*contract.SendResponse, error) {
	current, err := s.require(request.GetSession())
	if err != nil {
		return nil, err
	}
	chat, err := person(request.GetChatJid())
	if err != nil {
		return nil, err
	}
	if request.GetWhatsappId() == "" || request.GetText() == "" || request.GetNotAfterUnixMs() <= 0 {
		return nil, status.Error(codes.InvalidArgument, "whatsapp_id, text and not_after_unix_ms must be given")
	}
	result, err := current.Send(ctx, outbound.Request{
		Chat:     chat,
		ID:       request.GetWhatsappId(),
		Text:     request.GetText(),
		NotAfter: time.UnixMilli(request.GetNotAfterUnixMs()),
		Deadline: answerBy(ctx, time.Now()),
	})
	if err != nil {
		return nil, refusal(err)
	}
	answer := &contract.SendResponse{Outcome: result.Outcome, Reason: result.Reason}
	if result.Outcome == contract.SendResponse_SENT {
		answer.TimestampS = result.At.Unix()
	}
	return answer, nil
}

func (s *Service) IsOnWhatsApp(ctx context.Context, request *contract.IsOnWhatsAppRequest) (*contract.IsOnWhatsAppResponse, error) {
	current, err := s.require(request.GetSession())
	if err != nil {
		return nil, err
	}
	if !isPhone(request.GetPhoneE164()) {
		return nil, errPhone
	}
	jid, registered, err := current.IsOnWhatsApp(ctx, request.GetPhoneE164())
	if err != nil {
		return nil, refusal(err)
	}
	if !registered {
		return &contract.IsOnWhatsAppResponse{}, nil
	}
	return &contract.IsOnWhatsAppResponse{Registered: true, Jid: jid.String()}, nil
}

func (s *Service) MarkRead(ctx context.Context, request *contract.MarkReadRequest) (*contract.MarkReadResponse, error) {
	current, err := s.require(request.GetSession())
	if err != nil {
		return nil, err
	}
	chat, err := person(request.GetChatJid())
	if err != nil {
		return nil, err
	}
	if len(request.GetWhatsappIds()) == 0 {
		return nil, status.Error(codes.InvalidArgument, "whatsapp_ids must name a message")
	}
	if err := current.MarkRead(ctx, chat, request.GetWhatsappIds()); err != nil {
		return nil, refusal(err)
	}
	return &contract.MarkReadResponse{}, nil
}

// Stop closes all sessions side by side, and opens no more.
func (s *Service) Stop() {
	s.mu.Lock()
	s.stopped = true
	sessions := s.sessions
	s.sessions = map[string]*session.Session{}
	s.mu.Unlock()
	var closing sync.WaitGroup
	for _, open := range sessions {
		closing.Go(func() { open.Close(nil) })
	}
	closing.Wait()
}

// require gives the session that is open under this epoch. A stale one is refused as such, whether the session is open or not.
func (s *Service) require(of *contract.Session) (*session.Session, error) {
	account, epoch, err := named(of)
	if err != nil {
		return nil, err
	}
	current := s.session(account)
	switch {
	case current == nil || epoch > current.Epoch:
		return nil, status.Error(codes.NotFound, "the account is not open here")
	case epoch < current.Epoch:
		return nil, errStale
	}
	return current, nil
}

func (s *Service) session(account string) *session.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[account]
}

// put gives the account its session, or none. It says whether it could: a service that stops takes no more.
func (s *Service) put(account string, open *session.Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open == nil {
		delete(s.sessions, account)
		return true
	}
	if s.stopped {
		return false
	}
	s.sessions[account] = open
	return true
}

func (s *Service) turn(account string) *sync.Mutex {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opening[account] == nil {
		s.opening[account] = &sync.Mutex{}
	}
	return s.opening[account]
}

func opened(open *session.Session) *contract.OpenResponse {
	phone, paired := open.Linked()
	return &contract.OpenResponse{Paired: paired, PhoneE164: phone}
}

// answerBy is when a send must have ended.
func answerBy(ctx context.Context, now time.Time) time.Time {
	deadline, given := ctx.Deadline()
	if !given {
		return now.Add(sendWithin)
	}
	left := deadline.Sub(now)
	return deadline.Add(-min(answerMargin, left/10))
}

// refusal translates what went wrong into the contract's statuses. Its words hold no number.
func refusal(err error) error {
	switch {
	case errors.Is(err, accounts.ErrStale):
		return errStale
	case errors.Is(err, session.ErrClosed):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, session.ErrPaired), errors.Is(err, session.ErrNotConnected):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, session.ErrNotHanded):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the caller has gone")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "it took too long")
	default:
		return status.Error(codes.Unavailable, "the store or the connection has failed")
	}
}
