package term

import "golang.org/x/sys/unix"

// Now is the moment in milliseconds on the clock that ends are told on (connector/clock.py reads the same one): it runs on while the
// process is frozen or the machine sleeps, and nobody sets it.
func Now() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err) // Linux has it since 2.6.39
	}
	return now.Nano() / 1_000_000
}
