package service

import (
	"encoding/json"
	"regexp"
	"time"

	"go.mau.fi/whatsmeow/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"threadline/engine/contract"
	"threadline/engine/internal/term"
)

var (
	directChat = regexp.MustCompile(`^[0-9]{5,32}@(s\.whatsapp\.net|lid)$`)
	groupChat  = regexp.MustCompile(`^[0-9-]{5,64}@g\.us$`)
	phoneE164  = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
)

const mostHistory = 200

var (
	errStale   = status.Error(codes.FailedPrecondition, "the epoch is stale")
	errNotOpen = status.Error(codes.NotFound, "the account is not open here")
	errOver    = status.Error(codes.FailedPrecondition, "the term was over before the session was opened")
	errEnd     = status.Error(codes.InvalidArgument, "term_ends_ms must be given")
	errPhone   = status.Error(codes.InvalidArgument, "a phone number must be '+' and 7 to 15 digits, such as +40712345678")
)

func named(of *contract.Session) (string, int64, error) {
	if of.GetAccountId() == "" || of.GetEpoch() < 1 {
		return "", 0, status.Error(codes.InvalidArgument, "session must name an account and an epoch from 1")
	}
	return of.GetAccountId(), of.GetEpoch(), nil
}

// ownerIn gives the term that a session is to be opened for.
func ownerIn(request *contract.OpenRequest) (*term.Term, error) {
	account, epoch, err := named(request.GetSession())
	if err != nil {
		return nil, err
	}
	if request.GetTermEndsMs() <= 0 {
		return nil, errEnd
	}
	return term.New(account, epoch, request.GetTermEndsMs()), nil
}

func person(chat string) (types.JID, error) {
	if !directChat.MatchString(chat) {
		return types.JID{}, status.Error(codes.InvalidArgument, "chat_jid must be a person's number or LID")
	}
	return types.ParseJID(chat)
}

// knownMessage gives the message before which history is asked for.
func knownMessage(request *contract.RequestHistoryRequest) (*types.MessageInfo, error) {
	chat := request.GetChatJid()
	if !directChat.MatchString(chat) && !groupChat.MatchString(chat) {
		return nil, status.Error(codes.InvalidArgument, "chat_jid must be a person's number or LID, or a group")
	}
	if request.GetWhatsappId() == "" || request.GetTimestampS() <= 0 || request.GetCount() < 1 || request.GetCount() > mostHistory {
		return nil, status.Error(codes.InvalidArgument, "whatsapp_id, timestamp_s and a count of 1 to 200 must be given")
	}
	jid, err := types.ParseJID(chat)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "chat_jid cannot be read")
	}
	return &types.MessageInfo{
		MessageSource: types.MessageSource{Chat: jid, IsFromMe: request.GetFromMe()},
		ID:            request.GetWhatsappId(),
		Timestamp:     time.Unix(request.GetTimestampS(), 0),
	}, nil
}

// assertion reads a passkey's answer. Its errors quote nothing of it.
func assertion(encoded string) (*types.WebAuthnResponse, error) {
	var answer types.WebAuthnResponse
	if json.Unmarshal([]byte(encoded), &answer) != nil {
		return nil, status.Error(codes.InvalidArgument,
			"the answer cannot be read: it must be a JSON object as the script has printed it, with base64url values without padding")
	}
	for _, needed := range []struct {
		name  string
		given bool
	}{
		{"id", answer.ID != ""},
		{"rawId", len(answer.RawID) > 0},
		{"type", answer.Type == "public-key"},
		{"response.clientDataJSON", len(answer.Response.ClientDataJSON) > 0},
		{"response.authenticatorData", len(answer.Response.AuthenticatorData) > 0},
		{"response.signature", len(answer.Response.Signature) > 0},
	} {
		if !needed.given {
			return nil, status.Error(codes.InvalidArgument, "the answer's "+needed.name+" is missing or wrong")
		}
	}
	return &answer, nil
}

func isPhone(value string) bool { return phoneE164.MatchString(value) }
