// Package parent ends the engine with the process that started it.
package parent

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const lookEvery = time.Second

// Watch closes the returned channel when the parent has died. The kernel is asked to send SIGTERM then; since that is tied to the
// thread that started this process, and can come before it is asked for, the parent's id is looked at too.
func Watch() <-chan struct{} {
	died := make(chan struct{})
	born := os.Getppid()
	runtime.LockOSThread() // the request belongs to the process, but is made from a thread that stays
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0)
	runtime.UnlockOSThread()
	go func() {
		for os.Getppid() == born && born != 1 {
			time.Sleep(lookEvery)
		}
		if born != 1 {
			close(died)
		}
	}()
	return died
}
