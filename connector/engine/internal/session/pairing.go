package session

import (
	"strings"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"

	"threadline/engine/contract"
	"threadline/engine/internal/identity"
	"threadline/engine/internal/pace"
)

// WhatsApp gives six codes; the first is good for longer.
const (
	codesGiven = 6
	// The name must be one of a browser and a system that WhatsApp knows.
	clientName = "Chrome (Linux)"
)

// pairingCodes are those of one pairing. `phoneE164` is empty where it goes by QR.
type pairingCodes struct {
	phoneE164 string
	left      []string
	passkey   *passkeyStep // nil until WhatsApp asks for it, which ends the codes
	timer     *time.Timer
}

func (p *pairingCodes) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// pair starts pairing anew, whether or not one is under way.
func (k *keeper) pair(phoneE164 string) error {
	if _, linked := k.s.Linked(); linked {
		return ErrPaired
	}
	k.stopTimers()
	// A client that began to pair has secrets of that pairing: a new one begins with new ones.
	k.s.current().Disconnect()
	k.s.replaceClient(k.s.newClient(k.s.shared.DB.Devices.NewDevice()))
	k.phase = pairing
	k.pairing = &pairingCodes{phoneE164: phoneE164}
	k.passkeyExpired = false
	k.do(k.connect)
	return nil
}

func (k *keeper) codesCame(codes []string) {
	if k.phase != pairing {
		return
	}
	k.pairing.left = codes
	if k.pairing.phoneE164 == "" {
		k.showNext()
		return
	}
	lifetime := time.Duration(0)
	for place := range codes {
		lifetime += codeLifetime(len(codes) - place)
	}
	k.requestPhoneCode(lifetime)
}

// secretChanged puts WhatsApp's new secret into the code that is shown and those that are left.
func (k *keeper) secretChanged(before, after string) {
	if k.phase != pairing {
		return
	}
	for place, code := range k.pairing.left {
		k.pairing.left[place] = strings.Replace(code, before, after, 1)
	}
}

func (k *keeper) showNext() {
	if len(k.pairing.left) == 0 {
		k.endPairing(contract.PairingEnded_EXPIRED, "codes_used_up")
		return
	}
	lifetime := codeLifetime(len(k.pairing.left))
	code := k.pairing.left[0]
	k.pairing.left = k.pairing.left[1:]
	k.show(&contract.PairingCode{Code: &contract.PairingCode_Qr{Qr: code}}, lifetime)
	k.pairingAfter(lifetime, k.showNext)
}

func (k *keeper) requestPhoneCode(lifetime time.Duration) {
	asked, client := k.pairing, k.s.current()
	go func() { // the answer comes over the connection that this thread must not hold up
		code, err := client.PairPhone(k.s.ctx, asked.phoneE164, true, whatsmeow.PairClientChrome, clientName)
		k.do(func() {
			if k.pairing != asked || k.phase != pairing {
				return
			}
			if err != nil {
				k.endPairing(contract.PairingEnded_FAILED, "code_refused")
				return
			}
			k.show(&contract.PairingCode{Code: &contract.PairingCode_PhoneCode{PhoneCode: code}}, lifetime)
			k.pairingAfter(lifetime, func() { k.endPairing(contract.PairingEnded_EXPIRED, "codes_used_up") })
		})
	}()
}

// codeLifetime is how long a code is good, by how many are left with it.
func codeLifetime(left int) time.Duration {
	if left == codesGiven {
		return pace.FirstCode
	}
	return pace.Code
}

func (k *keeper) show(code *contract.PairingCode, lifetime time.Duration) {
	code.ExpiresAtUnixMs = time.Now().Add(lifetime).UnixMilli()
	k.s.feed.tell(&contract.Event{Kind: &contract.Event_PairingCode{PairingCode: code}})
}

// pairingCutOff: WhatsApp ends the connection itself when the codes are used up.
func (k *keeper) pairingCutOff() {
	if k.pairing.passkey != nil {
		k.endPairing(contract.PairingEnded_FAILED, "passkey_cut_off")
		return
	}
	if k.pairing.timer != nil && len(k.pairing.left) == 0 {
		k.endPairing(contract.PairingEnded_EXPIRED, "codes_used_up")
		return
	}
	k.endPairing(contract.PairingEnded_FAILED, "disconnected")
}

// linked: the phone has accepted. WhatsApp now asks for a new connection; when it forgets to, one is made all the same.
func (k *keeper) linked(device types.JID) {
	if k.phase != pairing {
		return
	}
	k.stopTimers()
	k.phase = linking
	k.s.guard(k.s.current().Store)
	k.s.feed.fence()
	phone := identity.PhoneE164(device)
	k.tellPairingEnded(&contract.PairingEnded{Result: contract.PairingEnded_PAIRED, PhoneE164: phone})
	k.tell(connectingState, "")
	k.after(relinkWithin, func() {
		k.s.current().Disconnect()
		k.connect()
	})
}

func (k *keeper) endPairing(result contract.PairingEnded_Result, reason string) {
	if k.phase != pairing {
		return
	}
	k.stopTimers()
	k.phase = idle
	k.tellPairingEnded(&contract.PairingEnded{Result: result, Reason: reason})
	k.s.current().Disconnect()
	// A pairing that failed late may have recorded its device.
	if err := k.forgetDevice(k.s.ctx); err != nil {
		k.s.log.StoreFailed("forgetting the device", err)
	}
}

func (k *keeper) tellPairingEnded(ended *contract.PairingEnded) {
	k.s.log.PairingEnded(ended.Result.String(), ended.Reason)
	k.s.feed.tell(&contract.Event{Kind: &contract.Event_PairingEnded{PairingEnded: ended}})
}

func (k *keeper) pairingAfter(wait time.Duration, task func()) {
	current := k.pairing
	current.stop()
	current.timer = time.AfterFunc(wait, func() {
		k.do(func() {
			if k.pairing == current && k.phase == pairing {
				task()
			}
		})
	})
}
