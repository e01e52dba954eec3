package database

import "context"

// Durable carries a statement out. When this returns it is on the disk, with all that was committed before it.
func (d *Database) Durable(ctx context.Context, statement string, arguments ...any) error {
	if _, err := d.SQL.ExecContext(ctx, statement, arguments...); err != nil {
		return err
	}
	return d.Sync(ctx)
}

// Statement is one to be carried out with others.
type Statement struct {
	Query     string
	Arguments []any
}

// Together carries statements out, all or none. When this returns they are on the disk.
func (d *Database) Together(ctx context.Context, statements ...Statement) error {
	transaction, err := d.SQL.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer transaction.Rollback()
	for _, statement := range statements {
		if _, err := transaction.ExecContext(ctx, statement.Query, statement.Arguments...); err != nil {
			return err
		}
	}
	if err := transaction.Commit(); err != nil {
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
