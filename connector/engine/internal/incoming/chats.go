package incoming

import (
	"go.mau.fi/whatsmeow/types"
)

// WhatsApp's own announcements come from these users.
var announcers = map[string]bool{"0": true, "16505361212": true}

// isShown says whether a chat's messages are shown. Not shown, on purpose (docs/kinds.md has the table):
//   - status updates and the account's own messages to broadcast lists, which are no conversation,
//   - channels (newsletters),
//   - WhatsApp's announcements and its assistants (bots), which nobody can answer for a company,
//   - chats of other services (Messenger, interoperability), to which nothing can be sent,
//   - users under "c.us", by which no linked device is addressed any more but by WhatsApp itself.
//
// A contact's message to a broadcast list is shown in the contact's own chat, as in WhatsApp's apps.
func isShown(source types.MessageSource) bool {
	switch source.Chat.Server {
	case types.DefaultUserServer, types.HostedServer:
		return !announcers[source.Chat.User] && !source.Chat.IsBot()
	case types.HiddenUserServer, types.HostedLIDServer, types.GroupServer:
		return true
	case types.BroadcastServer:
		return source.Chat != types.StatusBroadcastJID && !source.IsFromMe
	default:
		return false
	}
}
