package session

import (
	"context"
	"testing"
	"time"

	"go.mau.fi/whatsmeow/types/events"

	"threadline/engine/contract"
	"threadline/engine/internal/accounts"
	"threadline/engine/internal/history"
	"threadline/engine/internal/journal"
	"threadline/engine/internal/nodes"
	"threadline/engine/internal/term"
)

// Only an answer that came more than five minutes after the request has it, which no test over the wire can wait for.
func TestACodeThatAPersonWouldHaveToCompareIsNotConfirmedUnseen(t *testing.T) {
	told, db := openFeedOn(t)
	of := term.New(owner, 1, term.Now()+60_000)
	s := &Session{
		term: of, log: journal.For(owner), feed: told, archive: history.Open(db, owner, 0),
		shared: Shared{DB: db, Accounts: accounts.NewRegistry(db)}, wires: nodes.NewWires(),
	}
	s.ctx = term.With(context.Background(), of)
	s.client = s.newClient(db.Devices.NewDevice())
	k := newKeeper(s)
	s.keeper = k
	k.phase, k.pairing = pairing, &pairingCodes{passkey: &passkeyStep{expiresAt: time.Now().Add(time.Minute), answered: true}}

	k.take(s.client, &events.PairPasskeyConfirmation{Code: "ABCD-EFGH"})

	if k.phase != idle {
		t.Fatal("the pairing goes on")
	}
	ended := handedOver(t, told, 1)[0].GetPairingEnded()
	if ended.GetResult() != contract.PairingEnded_FAILED || ended.GetReason() != "passkey_code_wanted" {
		t.Errorf("told %v", ended)
	}
}
