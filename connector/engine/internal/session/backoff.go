package session

import (
	"math/rand/v2"
	"time"
)

const (
	backoffLeast = 50 * time.Millisecond
	backoffFirst = time.Second
	backoffMost  = time.Minute
)

// backoff is how long to wait before the next connection: any moment of a span that doubles with each, so that a thousand sessions that
// were cut off together come back one by one.
type backoff struct{ attempts int }

func (b *backoff) reset() { b.attempts = 0 }

func (b *backoff) next() time.Duration {
	span := min(backoffFirst<<min(b.attempts, 10), backoffMost)
	b.attempts++
	return backoffLeast + rand.N(span)
}
