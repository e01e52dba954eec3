//go:build !wiretest

package failpoint

// Pass says that the moment has come.
func Pass(Point) {}

// PanicAt says that the moment has come for the stanza of this id.
func PanicAt(Point, string) {}

// PassWritten says that the moment comes when the next bytes have been written to a socket.
func PassWritten(Point) {}
