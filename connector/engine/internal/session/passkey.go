package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.mau.fi/util/jsonbytes"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"threadline/engine/contract"
	"threadline/engine/internal/pace"
	"threadline/engine/internal/term"
)

var (
	// ErrNoPasskey says that no pairing waits for a passkey's answer.
	ErrNoPasskey = errors.New("no pairing waits for a passkey's answer")
	// ErrPasskeyAnswered says that the pairing has an answer.
	ErrPasskeyAnswered = errors.New("the passkey's request has been answered already")
	// ErrPasskeyExpired says that an answer came too late.
	ErrPasskeyExpired = errors.New("the passkey's request has expired; begin the pairing again")
	// ErrOtherRequest says that an answer does not fit the request. The pairing still waits.
	ErrOtherRequest = errors.New("the answer was signed for another request; sign the request that is shown now")
)

// passkeyStep is a passkey that WhatsApp asks for within a pairing.
type passkeyStep struct {
	challenge []byte
	expiresAt time.Time
	answered  bool
}

// passkeyWanted shows WhatsApp's request. The codes are over: one of them was used.
func (k *keeper) passkeyWanted(options *types.WebAuthnPublicKey) {
	if k.phase != pairing {
		return
	}
	request, err := optionsJSON(options)
	if err != nil {
		k.endPairing(contract.PairingEnded_FAILED, "passkey_failed")
		return
	}
	lifetime := pace.Passkey
	if wanted := time.Duration(options.Timeout) * time.Millisecond; wanted > 0 {
		lifetime = min(lifetime, wanted)
	}
	step := &passkeyStep{challenge: options.Challenge, expiresAt: time.Now().Add(lifetime)}
	k.pairing.passkey = step
	k.s.feed.tell(&contract.Event{Kind: &contract.Event_PasskeyRequest{PasskeyRequest: &contract.PasskeyRequest{
		OptionsJson: request, ExpiresAtUnixMs: step.expiresAt.UnixMilli(),
	}}})
	k.pairingAfter(lifetime, func() {
		if step.answered {
			k.endPairing(contract.PairingEnded_FAILED, "passkey_unconfirmed")
			return
		}
		k.endPairing(contract.PairingEnded_EXPIRED, "passkey_expired")
		k.passkeyExpired = true
	})
}

// optionsJSON writes the request as browsers read it: where WhatsApp leaves something out, whatsmeow's type has null.
func optionsJSON(options *types.WebAuthnPublicKey) (string, error) {
	whole := *options
	if whole.AllowCredentials == nil {
		whole.AllowCredentials = []types.AllowedCredential{}
	}
	if whole.Extensions == nil {
		whole.Extensions = map[string]any{}
	}
	encoded, err := json.Marshal(whole)
	return string(encoded), err
}

// AnswerPasskey hands the passkey's answer to WhatsApp, and says whether WhatsApp has taken it. A pairing whose answer is refused ends.
func (s *Session) AnswerPasskey(ctx context.Context, answer *types.WebAuthnResponse) (taken bool, err error) {
	var client *whatsmeow.Client
	var answered *pairingCodes
	err = s.ask(ctx, func() error {
		client, answered = s.current(), s.keeper.pairing
		return s.keeper.answerPasskey(answer)
	})
	if err != nil {
		return false, err
	}
	err = client.SendPasskeyResponse(term.With(ctx, s.term), answer)
	if err == nil {
		return true, nil
	}
	var refused *whatsmeow.IQError
	isRefused := errors.As(err, &refused)
	s.keeper.do(func() {
		switch {
		case s.keeper.pairing != answered:
		case isRefused:
			s.keeper.endPairing(contract.PairingEnded_FAILED, "passkey_refused")
		default: // nobody knows whether it has arrived
			answered.passkey.answered = false
		}
	})
	if isRefused {
		return false, nil
	}
	return false, err
}

// answerPasskey says whether the answer may be sent. Of several at once, one is.
func (k *keeper) answerPasskey(answer *types.WebAuthnResponse) error {
	if k.passkeyExpired {
		return ErrPasskeyExpired
	}
	if k.phase != pairing || k.pairing.passkey == nil {
		return ErrNoPasskey
	}
	step := k.pairing.passkey
	switch {
	case step.answered:
		return ErrPasskeyAnswered
	case !time.Now().Before(step.expiresAt):
		return ErrPasskeyExpired
	case !isFor(answer, step.challenge):
		return ErrOtherRequest
	}
	step.answered = true
	return nil
}

// isFor says whether an assertion names the challenge. WhatsApp checks all else.
func isFor(answer *types.WebAuthnResponse, challenge []byte) bool {
	var signed struct {
		Type      string                     `json:"type"`
		Challenge jsonbytes.UnpaddedURLBytes `json:"challenge"`
	}
	if json.Unmarshal(answer.Response.ClientDataJSON, &signed) != nil {
		return false
	}
	return signed.Type == "webauthn.get" && bytes.Equal(signed.Challenge, challenge)
}

// confirmPasskey goes on after WhatsApp has taken the answer. Within five minutes of the request whatsmeow proves that this client is the one
// whose code was used, and nobody has to compare codes. Later a person would have to: pace.Passkey ends before that.
func (k *keeper) confirmPasskey(client *whatsmeow.Client, event *events.PairPasskeyConfirmation) {
	if k.phase != pairing || k.pairing.passkey == nil {
		return
	}
	if !event.SkipHandoffUX {
		k.endPairing(contract.PairingEnded_FAILED, "passkey_code_wanted")
		return
	}
	confirmed := k.pairing
	go func() { // the answer comes over the connection that this thread must not hold up
		if err := client.SendPasskeyConfirmation(k.s.ctx); err != nil {
			k.do(func() {
				if k.pairing == confirmed {
					k.endPairing(contract.PairingEnded_FAILED, "passkey_refused")
				}
			})
		}
	}()
}
