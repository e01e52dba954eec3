package session

import "testing"

func TestTheSpanOfTheBackOffDoublesUpToItsLimit(t *testing.T) {
	var tried backoff
	span := backoffFirst
	for range 20 {
		if wait := tried.next(); wait < backoffLeast || wait > backoffLeast+span {
			t.Fatalf("waits %v, of at most %v", wait, span)
		}
		span = min(2*span, backoffMost)
	}
	tried.reset()
	if wait := tried.next(); wait > backoffLeast+backoffFirst {
		t.Errorf("waits %v after it was reset", wait)
	}
}

func TestSessionsThatWereCutOffTogetherDoNotComeBackTogether(t *testing.T) {
	waits := map[int64]bool{}
	for range 1000 {
		var tried backoff
		waits[int64(tried.next()/(backoffFirst/100))] = true
	}
	if len(waits) < 90 {
		t.Errorf("a thousand first waits fall into %d hundredths of a second's span", len(waits))
	}
}
