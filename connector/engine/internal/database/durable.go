package database

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"threadline/engine/internal/settings"
)

// Work is a part of a transaction.
type Work func(ctx context.Context, transaction *sql.Tx) error

// Durable does work in a transaction that is on the disk when this returns, with all that was committed before it.
//
// On SQLite that costs a flush of the disk, one at a time for all accounts. So what is committed elsewhere, by whatsmeow above all, is
// only handed to the operating system, which a killed process does not undo, and what comes here at the same time shares one flush.
func (d *Database) Durable(ctx context.Context, work Work) error {
	if d.Kind == settings.Postgres { // which shares its flushes by itself
		return d.transact(ctx, work)
	}
	return d.flusher.do(ctx, work)
}

// Sync has all that was committed on the disk. It stands before whatever tells WhatsApp of it: a ratchet that is older than what was sent
// with it would encrypt two messages alike.
func (d *Database) Sync(ctx context.Context) error {
	if d.Kind == settings.Postgres {
		return nil
	}
	return d.flusher.do(ctx, func(ctx context.Context, transaction *sql.Tx) error {
		_, err := transaction.ExecContext(ctx, "UPDATE engine_flushes SET number = number + 1")
		return err
	})
}

func (d *Database) transact(ctx context.Context, work Work) error {
	transaction, err := d.SQL.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := work(ctx, transaction); err != nil {
		return errors.Join(err, transaction.Rollback())
	}
	return transaction.Commit()
}

// flusher gathers the work that comes while the disk is flushed.
type flusher struct {
	db *Database

	mu      sync.Mutex
	waiting []*flushed
	running bool
}

type flushed struct {
	ctx  context.Context
	work Work
	done chan error
}

func (f *flusher) do(ctx context.Context, work Work) error {
	asked := &flushed{ctx: ctx, work: work, done: make(chan error, 1)}
	f.mu.Lock()
	f.waiting = append(f.waiting, asked)
	if !f.running {
		f.running = true
		go f.run()
	}
	f.mu.Unlock()
	select {
	case err := <-asked.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *flusher) run() {
	for {
		f.mu.Lock()
		batch := f.waiting
		f.waiting = nil
		f.running = len(batch) > 0
		f.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		if len(batch) > 1 && f.flush(context.Background(), together(batch)) == nil {
			for _, asked := range batch {
				asked.done <- nil
			}
			continue
		}
		for _, asked := range batch { // one by one: the fault of one is not the others'
			asked.done <- f.flush(asked.ctx, asked.work)
		}
	}
}

// flush does work on the one connection, whose commits are flushed for that while.
func (f *flusher) flush(ctx context.Context, work Work) error {
	connection, err := f.db.SQL.Conn(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	if _, err := connection.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
		return err
	}
	defer connection.ExecContext(context.WithoutCancel(ctx), "PRAGMA synchronous = NORMAL")
	transaction, err := connection.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := work(ctx, transaction); err != nil {
		return errors.Join(err, transaction.Rollback())
	}
	return transaction.Commit()
}

func together(batch []*flushed) Work {
	return func(ctx context.Context, transaction *sql.Tx) error {
		for _, asked := range batch {
			if err := asked.work(ctx, transaction); err != nil {
				return err
			}
		}
		return nil
	}
}
