package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"threadline/engine/internal/failpoint"
	"threadline/engine/internal/term"
)

// errNobodys refuses what would be written without the account's owner being known: nothing may get past the fence by accident.
var errNobodys = errors.New("a write that is no owner's")

var errUnchecked = errors.New("a statement that writes and gives rows belongs into a transaction")

type unowned struct{}

// Unowned gives a context in which what is written is no owner's: the tables themselves, and the claim, which makes somebody the owner.
func Unowned(ctx context.Context) context.Context { return context.WithValue(ctx, unowned{}, true) }

// writer is a connection to one kind of database.
type writer interface {
	capabilities
	// begin starts a transaction that holds the account's epoch until its end: who claims the account in the meantime waits. Raises
	// term.ErrStale.
	begin(ctx context.Context, owner *term.Term) (driver.Tx, error)
	// write carries one statement out, in such a transaction of its own.
	write(ctx context.Context, owner *term.Term, query string, arguments []driver.NamedValue) (driver.Result, error)
}

// owned is a connection on which nothing is written but in the term that its context carries: not after the term's end, by the clock, and
// not when the store knows a higher epoch, by a look in the same transaction. What whatsmeow writes passes here, and what the engine does.
type owned struct {
	writer
	within *transaction // nil outside of one
}

func (o *owned) ExecContext(ctx context.Context, query string, arguments []driver.NamedValue) (driver.Result, error) {
	if isReading(query) {
		return o.writer.ExecContext(ctx, query, arguments)
	}
	if o.within != nil {
		if err := o.within.check(failpoint.StoreWrite); err != nil {
			return nil, err
		}
		return o.writer.ExecContext(ctx, query, arguments)
	}
	owner, err := ownerOf(ctx)
	if err != nil {
		return nil, err
	}
	if owner == nil {
		return o.writer.ExecContext(ctx, query, arguments)
	}
	failpoint.Pass(failpoint.StoreWrite)
	if err := owner.Err(); err != nil {
		return nil, err
	}
	failpoint.Pass(failpoint.StoreLooked)
	result, err := o.writer.write(ctx, owner, query, arguments)
	return result, noticed(owner, err)
}

func (o *owned) QueryContext(ctx context.Context, query string, arguments []driver.NamedValue) (driver.Rows, error) {
	if !isReading(query) {
		if o.within != nil {
			if err := o.within.check(failpoint.StoreWrite); err != nil {
				return nil, err
			}
		} else if owner, err := ownerOf(ctx); err != nil || owner != nil {
			return nil, errors.Join(err, errUnchecked)
		}
	}
	return o.writer.QueryContext(ctx, query, arguments)
}

func (o *owned) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	owner, err := ownerOf(ctx)
	if err != nil {
		return nil, err
	}
	begun := &transaction{of: o, owner: owner}
	if owner == nil {
		begun.Tx, err = o.writer.BeginTx(ctx, options)
	} else {
		if err := begun.check(failpoint.StoreBegin); err != nil {
			return nil, err
		}
		begun.Tx, err = o.begin(ctx, owner)
	}
	if err != nil {
		return nil, noticed(owner, err)
	}
	failpoint.Pass(failpoint.StoreHeld)
	o.within = begun
	return begun, nil
}

// PrepareContext makes statements that nobody looks at: they may read only.
func (o *owned) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if !isReading(query) {
		return nil, errUnchecked
	}
	return o.writer.PrepareContext(ctx, query)
}

func (o *owned) Prepare(query string) (driver.Stmt, error) {
	return o.PrepareContext(context.Background(), query)
}

// CheckNamedValue makes the names in a statement's arguments storable, and leaves the rest to the driver, where it knows more than
// database/sql does.
func (o *owned) CheckNamedValue(value *driver.NamedValue) error {
	makeStorable(value)
	if checker, ok := o.writer.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return driver.ErrSkip
}

func (o *owned) IsValid() bool {
	validator, ok := o.writer.(driver.Validator)
	return !ok || validator.IsValid()
}

// transaction is one under way.
type transaction struct {
	driver.Tx
	of    *owned
	owner *term.Term // nil where it is nobody's
}

func (t *transaction) Commit() error {
	t.of.within = nil
	if err := t.check(failpoint.StoreCommit); err != nil {
		return errors.Join(err, t.Tx.Rollback())
	}
	return t.Tx.Commit()
}

func (t *transaction) Rollback() error {
	t.of.within = nil
	return t.Tx.Rollback()
}

// check is the last look before something is written.
func (t *transaction) check(point failpoint.Point) error {
	failpoint.Pass(point)
	if t.owner == nil {
		return nil
	}
	if err := t.owner.Err(); err != nil {
		return err
	}
	failpoint.Pass(failpoint.StoreLooked)
	return nil
}

// ownerOf gives the term that a write is made in; nil where it is nobody's, and says so.
func ownerOf(ctx context.Context) (*term.Term, error) {
	if owner := term.Of(ctx); owner != nil && ctx.Value(unowned{}) == nil {
		return owner, nil
	}
	if ctx.Value(unowned{}) != nil {
		return nil, nil
	}
	return nil, errNobodys
}

// noticed has the owner know when the store has said that he is not the owner any more.
func noticed(owner *term.Term, err error) error {
	if errors.Is(err, term.ErrStale) {
		owner.TakenOver()
	}
	return err
}

func isReading(query string) bool { return verb(query) == "SELECT" }

// verb is a statement's first word.
func verb(query string) string {
	query = strings.TrimSpace(query)
	end := strings.IndexFunc(query, func(letter rune) bool { return letter < 'A' || letter > 'z' })
	if end < 0 {
		end = len(query)
	}
	return strings.ToUpper(query[:end])
}
