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
	"threadline/engine/internal/outbound"
	"threadline/engine/internal/session"
	"threadline/engine/internal/term"
)

const (
	contractVersion = 3
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

// Hello says which version of the contract this engine speaks, and what it was built with.
func (s *Service) Hello(context.Context, *contract.HelloRequest) (*contract.HelloResponse, error) {
	return &contract.HelloResponse{Contract: contractVersion, Whatsmeow: whatsmeowVersion()}, nil
}

func (s *Service) Open(ctx context.Context, request *contract.OpenRequest) (*contract.OpenResponse, error) {
	owner, err := ownerIn(request)
	if err != nil {
		return nil, err
	}
	turn := s.turn(owner.Account)
	turn.Lock()
	defer turn.Unlock()
	current := s.session(owner.Account)
	if current != nil && owner.Epoch < current.Term().Epoch {
		return nil, errStale
	}
	if current != nil && owner.Epoch == current.Term().Epoch && current.Term().Extend(request.GetTermEndsMs()) {
		answer := opened(current)
		current.TryAgain()
		return answer, nil
	}
	if current, err = s.open(ctx, current, owner, request.GetStoreMark()); err != nil {
		return nil, err
	}
	return opened(current), nil
}

// open takes the account from its former holder, if there is one.
func (s *Service) open(ctx context.Context, former *session.Session, owner *term.Term, knownMark uint64) (*session.Session, error) {
	if owner.IsOver() { // the request was read late
		return nil, errOver
	}
	if former != nil {
		s.put(owner.Account, nil)
		former.Close(&contract.SessionChanged{State: contract.SessionChanged_REPLACED, Reason: "taken_over"})
	}
	opened, err := session.Open(ctx, s.shared, owner, knownMark, s.over)
	if err != nil {
		return nil, refusal(err)
	}
	if !s.put(owner.Account, opened) {
		opened.Close(nil)
		return nil, status.Error(codes.Unavailable, "the engine stops")
	}
	return opened, nil
}

// over closes a session whose owner's term has come to its end.
func (s *Service) over(ended *session.Session) {
	account := ended.Term().Account
	turn := s.turn(account)
	turn.Lock()
	defer turn.Unlock()
	if s.session(account) == ended {
		s.put(account, nil)
		ended.Close(nil)
	}
}

// Extend moves the end of the owner's term.
func (s *Service) Extend(_ context.Context, request *contract.ExtendRequest) (*contract.ExtendResponse, error) {
	if request.GetTermEndsMs() <= 0 {
		return nil, errEnd
	}
	current, err := s.require(request.GetSession())
	if err != nil {
		return nil, err
	}
	if !current.Term().Extend(request.GetTermEndsMs()) {
		return nil, refusal(current.Term().Err())
	}
	return &contract.ExtendResponse{StoreMark: current.StoreMark()}, nil
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
	if current != nil && epoch < current.Term().Epoch {
		return nil, errStale
	}
	if current != nil && epoch == current.Term().Epoch {
		s.put(account, nil)
		current.Close(nil)
		return &contract.CloseResponse{StoreMark: current.StoreMark()}, nil
	}
	return &contract.CloseResponse{}, nil
}

func (s *Service) Events(request *contract.EventsRequest, stream contract.Engine_EventsServer) error {
	current, err := s.require(request.GetSession())
	if err != nil {
		return err
	}
	send := func(event *contract.Event) error {
		if current.Term().IsOver() {
			return term.ErrOver
		}
		return stream.Send(event)
	}
	if err := current.Attach().Run(stream.Context(), send); !errors.Is(err, term.ErrOver) {
		return err
	}
	return nil
}

func (s *Service) Acknowledge(ctx context.Context, request *contract.AcknowledgeRequest) (*contract.AcknowledgeResponse, error) {
	current, err := s.require(request.GetSession())
	if err != nil {
		return nil, err
	}
	if err := current.Acknowledge(ctx, request.GetSequence()); err != nil {
		return nil, refusal(err)
	}
	return &contract.AcknowledgeResponse{StoreMark: current.StoreMark()}, nil
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
	answer := &contract.SendResponse{Outcome: result.Outcome, Reason: result.Reason, StoreMark: current.StoreMark()}
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

func (s *Service) RequestHistory(ctx context.Context, request *contract.RequestHistoryRequest) (*contract.RequestHistoryResponse, error) {
	current, err := s.require(request.GetSession())
	if err != nil {
		return nil, err
	}
	before, err := knownMessage(request)
	if err != nil {
		return nil, err
	}
	if err := current.RequestHistory(ctx, before, int(request.GetCount())); err != nil {
		return nil, refusal(err)
	}
	return &contract.RequestHistoryResponse{}, nil
}

// PingPhone asks the account's phone for something that it answers.
func (s *Service) PingPhone(ctx context.Context, request *contract.PingPhoneRequest) (*contract.PingPhoneResponse, error) {
	current, err := s.require(request.GetSession())
	if err != nil {
		return nil, err
	}
	if err := current.PingPhone(ctx); err != nil {
		return nil, refusal(err)
	}
	return &contract.PingPhoneResponse{}, nil
}

// AnswerPasskey hands over what the account's passkey has signed.
func (s *Service) AnswerPasskey(ctx context.Context, request *contract.AnswerPasskeyRequest) (*contract.AnswerPasskeyResponse, error) {
	current, err := s.require(request.GetSession())
	if err != nil {
		return nil, err
	}
	answer, err := assertion(request.GetAssertionJson())
	if err != nil {
		return nil, err
	}
	taken, err := current.AnswerPasskey(ctx, answer)
	if err != nil {
		return nil, refusal(err)
	}
	if !taken {
		return &contract.AnswerPasskeyResponse{Result: contract.AnswerPasskeyResponse_REFUSED}, nil
	}
	return &contract.AnswerPasskeyResponse{Result: contract.AnswerPasskeyResponse_TAKEN}, nil
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
	case current == nil || epoch > current.Term().Epoch:
		return nil, errNotOpen
	case epoch < current.Term().Epoch:
		return nil, errStale
	case current.Term().IsOver():
		return nil, errNotOpen
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
	return &contract.OpenResponse{Paired: paired, PhoneE164: phone, StoreMark: open.StoreMark()}
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
	case errors.Is(err, term.ErrStale):
		return errStale
	case errors.Is(err, term.ErrOver):
		return errNotOpen
	case errors.Is(err, session.ErrClosed):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, session.ErrPaired), errors.Is(err, session.ErrNotConnected), errors.Is(err, session.ErrNoPasskey),
		errors.Is(err, session.ErrPasskeyAnswered), errors.Is(err, session.ErrPasskeyExpired):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, session.ErrNotHanded), errors.Is(err, session.ErrOtherRequest):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the caller has gone")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "it took too long")
	default:
		return status.Error(codes.Unavailable, "the store or the connection has failed")
	}
}
