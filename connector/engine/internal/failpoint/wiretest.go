//go:build wiretest

package failpoint

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

var (
	chosen Point
	left   atomic.Int64
	armed  atomic.Bool
	frozen = os.Getenv("WIRE_FREEZE_FILE")

	panicAt = os.Getenv("WIRE_PANIC_AT")
)

// WIRE_DIE_AT=point:n kills the process, as SIGKILL does, the n-th time it passes the point. Where WIRE_DIE_FILE names a file
// that holds the same, that counts, and once: the engine that is started after this one finds what is written there by then.
func init() {
	plan := os.Getenv("WIRE_DIE_AT")
	if file := os.Getenv("WIRE_DIE_FILE"); file != "" {
		if written, err := os.ReadFile(file); err == nil {
			plan = strings.TrimSpace(string(written))
			_ = os.Remove(file)
		}
	}
	point, times, _ := strings.Cut(plan, ":")
	n, err := strconv.Atoi(times)
	if err != nil {
		n = 1
	}
	chosen = Point(point)
	left.Store(int64(n))
}

// Pass says that the moment has come.
func Pass(point Point) {
	if frozen != "" {
		freezeAt(point)
	}
	if point == chosen && left.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// PanicAt panics where WIRE_PANIC_AT holds the point and the stanza's id, as in `stanza.came:3EB0AA`.
func PanicAt(point Point, id string) {
	if panicAt != "" && panicAt == string(point)+":"+id {
		panic("WIRE_PANIC_AT")
	}
}

// PassWritten says that the moment comes when the next bytes have been written to a socket.
func PassWritten(point Point) {
	if point == chosen {
		armed.Store(true)
	}
}

// Written says that bytes were handed to a socket.
func Written() {
	if armed.Swap(false) {
		Pass(chosen)
	}
}

// freezeAt stops the process, as SIGSTOP does, where the file that WIRE_FREEZE_FILE names holds the point. The file is removed: once.
func freezeAt(point Point) {
	written, err := os.ReadFile(frozen)
	if err != nil || Point(strings.TrimSpace(string(written))) != point || os.Remove(frozen) != nil {
		return
	}
	runtime.LockOSThread() // the signal is this thread's: it goes no further before it has stopped
	defer runtime.UnlockOSThread()
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP)
}
