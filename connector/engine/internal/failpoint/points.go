// Package failpoint names the moments at which a test may kill or freeze the engine. In a release passing one does nothing.
package failpoint

// Point is a moment in the life of an event or a send, or of what is written.
type Point string

const (
	InboxEntry  Point = "inbox.entry"  // an event reaches its handler
	InboxSaved  Point = "inbox.saved"  // its row is durable, neither WhatsApp nor the connector told
	EventNext   Point = "event.next"   // about to be given to the connector's stream
	EventHanded Point = "event.handed" // given to the connector's stream, not acknowledged
	AckBefore   Point = "ack.before"   // the connector has acknowledged, the rows stand
	AckAfter    Point = "ack.after"    // the rows are gone, the connector not yet told
	SendFrame   Point = "send.frame"   // a message's frame is just handed to the socket
	SendAcked   Point = "send.acked"   // WhatsApp has taken it, the connector not yet told
	FrameWrite  Point = "frame.write"  // bytes are about to go to the socket: the last look at the term comes next
	StoreBegin  Point = "store.begin"  // a transaction is about to begin, in the same way
	StoreWrite  Point = "store.write"  // a statement is about to write, in the same way
	StoreCommit Point = "store.commit" // a transaction is about to be committed, in the same way
	StoreLooked Point = "store.looked" // that look is over: from here on the epoch in the store alone refuses
	// BacklogSettled: a message that was announced has arrived, WhatsApp not told.
	BacklogSettled Point = "backlog.settled"
	// BacklogDelivered: all that was announced has been handed over; nothing is concluded from it yet.
	BacklogDelivered Point = "backlog.delivered"
	HistorySaved     Point = "history.saved" // WhatsApp's word on a part of the history is durable
	HistoryChunk     Point = "history.chunk" // a piece of its content is written
	HistoryKept      Point = "history.kept"  // the part is kept; the word on it is not removed
	StoreHeld        Point = "store.held"    // a transaction has begun, and holds the account's epoch
	StanzaCame       Point = "stanza.came"   // a stanza was received, and is about to be queued
)
