package database

import (
	"context"
	"os"
	"path/filepath"
	"sync"
)

// flusher has SQLite's write-ahead log on the disk. The log holds every commit that is not in the database's own file yet, which SQLite
// flushes itself before the log begins anew.
type flusher struct {
	path string
	log  *os.File

	mu      sync.Mutex
	waiting []chan error
	running bool
}

func openFlusher(database string) (*flusher, error) {
	f := &flusher{path: database + "-wal"}
	return f, f.reopen()
}

// flush returns when all that was committed before the call is on the disk.
func (f *flusher) flush(ctx context.Context) error {
	done := make(chan error, 1)
	f.mu.Lock()
	f.waiting = append(f.waiting, done)
	if !f.running {
		f.running = true
		go f.run()
	}
	f.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *flusher) run() {
	for {
		f.mu.Lock()
		waiting := f.waiting
		f.waiting = nil
		f.running = len(waiting) > 0
		f.mu.Unlock()
		if len(waiting) == 0 {
			return
		}
		err := f.sync()
		for _, done := range waiting {
			done <- err
		}
	}
}

// sync flushes the log that is there: SQLite makes a new one when its last connection was closed, by an error, say.
func (f *flusher) sync() error {
	there, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	if open, err := f.log.Stat(); err != nil || !os.SameFile(open, there) {
		if err := f.reopen(); err != nil {
			return err
		}
	}
	return f.log.Sync()
}

func (f *flusher) reopen() error {
	log, err := os.OpenFile(f.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if f.log != nil {
		_ = f.log.Close()
	}
	f.log = log
	folder, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync() // the log's name must be on the disk, too
}
