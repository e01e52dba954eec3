//go:build wiretest

package pace

import (
	"os"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow"
)

// Milliseconds: WIRE_PING_MS between pings, and for their answer; WIRE_CODE_MS for each code; WIRE_PASSKEY_MS for
// a passkey's answer; WIRE_STORE_MS for a store that is locked;
// WIRE_HELD_MS for the next statement of a transaction; WIRE_ACK_MS for an ack; WIRE_PHONE_MS
// between two words that the phone was seen.
func init() {
	set("WIRE_PING_MS", &whatsmeow.KeepAliveIntervalMin, &whatsmeow.KeepAliveIntervalMax, &whatsmeow.KeepAliveResponseDeadline)
	if whatsmeow.KeepAliveIntervalMin == whatsmeow.KeepAliveIntervalMax {
		whatsmeow.KeepAliveIntervalMax += time.Millisecond // it draws from the span between them
	}
	set("WIRE_CODE_MS", &FirstCode, &Code)
	set("WIRE_PASSKEY_MS", &Passkey)
	set("WIRE_STORE_MS", &StoreBusy, &StorePatience)
	set("WIRE_HELD_MS", &StoreHeld)
	set("WIRE_ACK_MS", &Ack)
	set("WIRE_PHONE_MS", &PhoneSeen)
}

func set(name string, durations ...*time.Duration) {
	number, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		return
	}
	for _, duration := range durations {
		*duration = time.Duration(number) * time.Millisecond
	}
}
