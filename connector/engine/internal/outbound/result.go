package outbound

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"

	"threadline/engine/contract"
)

// Outcome is the contract's.
type Outcome = contract.SendResponse_Outcome

// Result is how a send has ended.
type Result struct {
	Outcome Outcome
	Reason  string
	At      time.Time // with SENT: WhatsApp's time
}

const (
	reasonNoAck       = "no_ack"
	reasonNoAccount   = "no_account"
	reasonNoRecipient = "no_recipient_device"
	reasonLost        = "disconnected"
	reasonTimeout     = "timeout"
	reasonEngine      = "engine_error"
)

var notConnected = Result{Outcome: contract.SendResponse_NOT_CONNECTED}

// conclude says what a send's end proves: the ack, if it came; else, whether the frame can have left; else, why it did not.
func conclude(sendError error, frame way, refusal error, word *ack) Result {
	switch {
	case word != nil && word.code == "":
		return Result{Outcome: contract.SendResponse_SENT, At: word.at}
	case word != nil:
		return Result{Outcome: contract.SendResponse_REJECTED, Reason: word.code}
	case errors.Is(sendError, whatsmeow.ErrServerReturnedError):
		return Result{Outcome: contract.SendResponse_REJECTED, Reason: codeOf(sendError)}
	case frame == left || frame == atSocket:
		return Result{Outcome: contract.SendResponse_UNKNOWN, Reason: whyUnknown(sendError)}
	default:
		return notSent(sendError, refusal)
	}
}

func whyUnknown(err error) string {
	if isDisconnection(err) {
		return reasonLost
	}
	return reasonNoAck
}

func notSent(err, refusal error) Result {
	switch {
	case errors.Is(refusal, errTooLate):
		return Result{Outcome: contract.SendResponse_EXPIRED}
	case errors.Is(refusal, errNoRecipient):
		return Result{Outcome: contract.SendResponse_NOT_SENT, Reason: reasonNoRecipient}
	case errors.Is(refusal, errClosed), isDisconnection(err):
		return notConnected
	case errors.Is(refusal, errAbandoned), errors.Is(err, context.DeadlineExceeded), errors.Is(err, whatsmeow.ErrIQTimedOut):
		return Result{Outcome: contract.SendResponse_NOT_SENT, Reason: reasonTimeout}
	default:
		return Result{Outcome: contract.SendResponse_NOT_SENT, Reason: reasonEngine}
	}
}

func isDisconnection(err error) bool {
	var lost *whatsmeow.DisconnectedError
	return errors.As(err, &lost) || errors.Is(err, whatsmeow.ErrNotConnected) || errors.Is(err, whatsmeow.ErrNotLoggedIn) ||
		errors.Is(err, context.Canceled)
}

// codeOf reads the code at the end of whatsmeow's "server returned error 463", which has it nowhere else.
func codeOf(err error) string {
	words := strings.Fields(err.Error())
	if code := words[len(words)-1]; isNumber(code) {
		return code
	}
	return "refused"
}

func isNumber(word string) bool {
	_, err := strconv.ParseUint(word, 10, 32)
	return err == nil
}
