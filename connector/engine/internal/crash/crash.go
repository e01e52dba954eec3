// Package crash tells which account's handling has ended the process by a panic. whatsmeow handles stanzas on goroutines of its own, where
// nobody recovers: a panic there ends the process, and every account's session with it.
package crash

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
)

const label = "account"

// The Go runtime writes the goroutine that panicked first, with its labels: goroutine 22 [running labels:{"account": "shop"}]:
var (
	header  = regexp.MustCompile(`(?m)^goroutine \d+ .*$`)
	account = regexp.MustCompile(`labels:\{.*"` + label + `": ("(?:[^"\\]|\\.)*")`)
)

// The setting that has the runtime write labels (Go 1.26). It is read whenever it changes.
const setting = "tracebacklabels=1"

// Report is the crash of the process before this one.
type Report struct {
	// Account is the one that was handled, empty where that is not known.
	Account string
}

// Read gives what the process before this one left in the file of Watch; nil where it left nothing.
func Read(path string) (*Report, error) {
	written, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(written) == 0) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parse(written), nil
}

// Watch has the runtime write a crash of this process into a file, in place of what stands there. It is for Read alone: a panic's value may
// quote a message.
func Watch(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer file.Close() // the runtime keeps a duplicate
	settings := os.Getenv("GODEBUG")
	if settings != "" {
		settings += ","
	}
	if err := os.Setenv("GODEBUG", settings+setting); err != nil {
		return err
	}
	return debug.SetCrashOutput(file, debug.CrashOptions{})
}

// Handling names the account that a function handles, and whatever goroutine it starts.
func Handling(ctx context.Context, account string, handle func(context.Context)) {
	pprof.Do(ctx, pprof.Labels(label, account), handle)
}

// parse finds the account of the first goroutine. Others may follow.
func parse(written []byte) *Report {
	found := account.FindSubmatch(header.Find(written))
	if found == nil {
		return &Report{}
	}
	name, err := strconv.Unquote(string(found[1]))
	if err != nil {
		return &Report{}
	}
	return &Report{Account: name}
}
