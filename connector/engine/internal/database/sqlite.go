package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"

	"threadline/engine/internal/term"
)

const knowsOwner = "SELECT 1 FROM engine_accounts WHERE account_id = ?1 AND epoch = ?2"

func (c *connection) begin(ctx context.Context, owner *term.Term) (driver.Tx, error) {
	begun := sqliteTransaction{ctx: ctx, on: c}
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE", nil); err != nil { // waits for the lock of another process
		_ = begun.Rollback() // it may have begun all the same, when the context ended
		return nil, err
	}
	if err := c.checkOwned(owner); err != nil {
		return nil, errors.Join(err, begun.Rollback())
	}
	return begun, nil
}

func (c *connection) write(
	ctx context.Context, owner *term.Term, query string, arguments []driver.NamedValue,
) (driver.Result, error) {
	begun, err := c.begin(ctx, owner)
	if err != nil {
		return nil, err
	}
	result, err := c.ExecContext(ctx, query, arguments)
	if err == nil {
		err = owner.Err()
	}
	if err != nil {
		return nil, errors.Join(err, begun.Rollback())
	}
	return result, begun.Commit()
}

func (c *connection) checkOwned(owner *term.Term) error {
	arguments := []driver.NamedValue{{Ordinal: 1, Value: owner.Account}, {Ordinal: 2, Value: owner.Epoch}}
	found, err := c.QueryContext(context.Background(), knowsOwner, arguments)
	if err != nil {
		return err
	}
	defer found.Close()
	switch err := found.Next(make([]driver.Value, 1)); {
	case errors.Is(err, io.EOF):
		return term.ErrStale
	default:
		return err
	}
}

type sqliteTransaction struct {
	ctx context.Context
	on  *connection
}

// Commit leaves no transaction behind when it fails. It waits for nobody, so that a context's end leaves no doubt about it.
func (t sqliteTransaction) Commit() error {
	err := t.ctx.Err()
	if err == nil {
		_, err = t.on.ExecContext(context.Background(), "COMMIT", nil)
	}
	if err != nil {
		_ = t.Rollback()
	}
	return err
}

func (t sqliteTransaction) Rollback() error {
	_, err := t.on.ExecContext(context.Background(), "ROLLBACK", nil)
	return err
}
