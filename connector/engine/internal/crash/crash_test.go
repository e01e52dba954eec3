package crash

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const crashing = "CRASH_INTO"

// The process of the tests starts itself once more, and crashes there as whatsmeow's goroutines would.
func TestMain(m *testing.M) {
	path := os.Getenv(crashing)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := Watch(path); err != nil {
		os.Exit(3)
	}
	go Handling(context.Background(), "other", func(context.Context) { select {} })
	Handling(context.Background(), `shop "1"`, func(context.Context) {
		go func() {
			var content any
			_ = content.([]byte)
		}()
	})
	select {}
}

func TestACrashNamesTheAccountThatWasHandled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crash")
	if report, err := Read(path); report != nil || err != nil {
		t.Fatalf("before anything has crashed: %v, %v", report, err)
	}
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), crashing+"="+path)
	if err := process.Run(); err == nil {
		t.Fatal("it lives")
	}
	report, err := Read(path)
	if err != nil || report == nil || report.Account != `shop "1"` {
		t.Fatalf("got %+v, %v", report, err)
	}
}

func TestACrashOfWhichNoAccountIsKnownNamesNone(t *testing.T) {
	for _, written := range []string{
		"fatal error: out of memory\n",
		"panic: labels:{\"account\": \"quoted\"}\n\ngoroutine 7 [running]:\nmain.main()\n",
		"panic: x\n\ngoroutine 7 [running]:\nmain.main()\n\ngoroutine 8 [select labels:{\"account\": \"other\"}]:\n",
	} {
		if report := parse([]byte(written)); report.Account != "" {
			t.Errorf("%q names %q", written, report.Account)
		}
	}
}
