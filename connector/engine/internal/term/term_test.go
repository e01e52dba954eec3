package term

import (
	"errors"
	"testing"
)

func TestATermLastsUntilItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		left int64
		want error
	}{
		"before its end": {60_000, nil},
		"at its end":     {0, ErrOver},
		"after its end":  {-1, ErrOver},
	} {
		t.Run(name, func(t *testing.T) {
			if got := New("shop", 1, Now()+c.left).Err(); !errors.Is(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestOnlyALaterEndMovesIt(t *testing.T) {
	ends := Now() + 60_000
	extended := New("shop", 1, ends)
	for _, earlier := range []int64{0, ends - 1, ends} {
		if !extended.Extend(earlier) || extended.endsMs.Load() != ends {
			t.Errorf("moved by %d", earlier-ends)
		}
	}
	if !extended.Extend(ends+1) || extended.endsMs.Load() != ends+1 {
		t.Error("not moved by a later end")
	}
}

func TestWhatIsOverStaysOver(t *testing.T) {
	ended, stale := New("shop", 1, Now()+60_000), New("shop", 1, Now()+60_000)
	ended.End()
	stale.TakenOver()
	for name, over := range map[string]*Term{"its time": New("shop", 1, Now()), "closed": ended, "taken over": stale} {
		if over.Extend(Now()+60_000) || over.Err() == nil {
			t.Errorf("%s: goes on", name)
		}
	}
}

func TestATakeOverIsToldOnceHoweverLate(t *testing.T) {
	taken := New("shop", 1, Now()+60_000)
	taken.TakenOver()
	told := 0
	taken.WhenTakenOver(func() { told++ })
	taken.TakenOver()
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}
