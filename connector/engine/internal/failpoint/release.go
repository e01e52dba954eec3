//go:build !wiretest

package failpoint

// Pass says that the moment has come.
func Pass(Point) {}

// PassSoon says that the moment comes when this thread has gone on a little.
func PassSoon(Point) {}
