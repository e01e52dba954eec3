package incoming

import (
	"encoding/json"
	"testing"

	"go.mau.fi/whatsmeow/types/events"
)

func TestALockSaysWhenItEndsWhereWhatsAppDoes(t *testing.T) {
	for told, want := range map[string]struct {
		active bool
		ends   int64
	}{
		`{"is_active": true, "time_enforcement_ends": "1763950000"}`: {true, 1763950000},
		`{"is_active": true}`: {true, 0},
		`{"is_active": false, "time_enforcement_ends": "1763950000"}`: {false, 0},
	} {
		var event events.NotifyAccountReachoutTimelock
		if err := json.Unmarshal([]byte(told), &event); err != nil {
			t.Fatal(err)
		}
		if lock := ReachoutLock(&event).GetReachoutLock(); lock.Active != want.active || lock.EndsAtUnixS != want.ends {
			t.Errorf("%s gives %v", told, lock)
		}
	}
}
