package session

import (
	"time"

	"threadline/engine/internal/wanet"
)

// codeLifetime is how long a code is good, by how many of them are left with it: as WhatsApp's own apps have it.
func codeLifetime(left int) time.Duration {
	if left == codesGiven {
		return wanet.FirstCodeLifetime
	}
	return wanet.CodeLifetime
}
