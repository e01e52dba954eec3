// Package failpoint names the moments at which a test may kill the engine. In a release passing one does nothing.
package failpoint

// Point is a moment in the life of an event or a send.
type Point string

const (
	InboxEntry  Point = "inbox.entry"  // an event reaches its handler
	InboxSaved  Point = "inbox.saved"  // its row is durable, WhatsApp not yet told
	EventHanded Point = "event.handed" // given to the connector's stream, not acknowledged
	AckBefore   Point = "ack.before"   // the connector has acknowledged, the rows stand
	AckAfter    Point = "ack.after"    // the rows are gone, the connector not yet told
	SendFrame   Point = "send.frame"   // a message's frame is just handed to the socket
	SendAcked   Point = "send.acked"   // WhatsApp has taken it, the connector not yet told
)
