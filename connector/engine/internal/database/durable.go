package database

import (
	"context"
	"database/sql"
	"errors"
)

// Work is a part of a transaction.
type Work func(ctx context.Context, transaction *sql.Tx) error

// Durable does work in a transaction that is on the disk when this returns, with all that was committed before it.
func (d *Database) Durable(ctx context.Context, work Work) error {
	if err := d.transact(ctx, work); err != nil {
		return err
	}
	return d.Sync(ctx)
}

// Sync has all that was committed on the disk. It stands before whatever tells WhatsApp of it: a ratchet that is older than what was sent
// with it would encrypt two messages alike.
//
// On Postgres each commit is. On SQLite a commit is only handed to the operating system, which a killed process does not undo; the disk
// is flushed here, without holding up the one writer, and once for all who ask while it is.
func (d *Database) Sync(ctx context.Context) error {
	if d.flusher == nil {
		return nil
	}
	return d.flusher.flush(ctx)
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
