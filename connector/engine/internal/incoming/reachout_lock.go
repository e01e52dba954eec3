package incoming

import (
	"go.mau.fi/whatsmeow/types/events"

	"threadline/engine/contract"
)

// ReachoutLock gives the event of WhatsApp's word about messages to people who have not written to the account.
func ReachoutLock(told *events.NotifyAccountReachoutTimelock) *contract.Event {
	lock := &contract.ReachoutLock{Active: told.IsActive}
	if ends := told.TimeEnforcementEnds; told.IsActive && !ends.IsZero() {
		lock.EndsAtUnixS = ends.Unix()
	}
	return &contract.Event{Kind: &contract.Event_ReachoutLock{ReachoutLock: lock}}
}
