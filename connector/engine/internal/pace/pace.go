// Package pace holds the times that a test would have to wait for. In a release they never change.
package pace

import "time"

var (
	// FirstCode is how long the first of six pairing codes is good, Code each of the others: as WhatsApp's own apps have it.
	FirstCode = 60 * time.Second
	Code      = 20 * time.Second
	// Passkey is how long a passkey's request may be answered. whatsmeow proves for five minutes that this client's code was used.
	Passkey = 290 * time.Second
	// StoreBusy is how long SQLite waits for the lock of another process.
	StoreBusy = 5 * time.Second
	// StoreHeld is how long PostgreSQL waits for the next statement of a transaction: who claims the account of an owner that was
	// frozen within one waits as long.
	StoreHeld = 5 * time.Second
	// StorePatience is how long the saving of an event is tried that WhatsApp would hand over again.
	StorePatience = 8 * time.Second
	// PhoneSeen is the least time between two words that the account's phone was seen.
	PhoneSeen = time.Minute
	// Ack is how long one send may hold the account's others up while WhatsApp is silent.
	Ack = 10 * time.Second
)
