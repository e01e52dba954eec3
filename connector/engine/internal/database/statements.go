package database

import (
	"context"
	"database/sql/driver"
	"strings"

	"modernc.org/sqlite"
)

// Compiling a statement is a fifth of what SQLite costs for a message, and there are few of them. A connection's that takes more than this
// many keeps the first ones.
const statementsMost = 200

// compiling opens SQLite connections that compile each statement once.
type compiling struct{ address string }

func (c compiling) Connect(context.Context) (driver.Conn, error) {
	opened, err := c.Driver().Open(c.address)
	if err != nil {
		return nil, err
	}
	return &owned{writer: &connection{capabilities: opened.(capabilities), compiled: map[string]*statement{}}}, nil
}

func (c compiling) Driver() driver.Driver { return &sqlite.Driver{} }

// capabilities are those of the driver's connections that database/sql makes use of.
type capabilities interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
}

type connection struct {
	capabilities
	compiled map[string]*statement
}

// statement is compiled. It can be at one result at a time.
type statement struct {
	driver.Stmt
	isBusy bool
}

func (c *connection) ExecContext(ctx context.Context, query string, arguments []driver.NamedValue) (driver.Result, error) {
	found, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return c.capabilities.ExecContext(ctx, query, arguments)
	}
	return found.Stmt.(driver.StmtExecContext).ExecContext(ctx, arguments)
}

func (c *connection) QueryContext(ctx context.Context, query string, arguments []driver.NamedValue) (driver.Rows, error) {
	found, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return c.capabilities.QueryContext(ctx, query, arguments)
	}
	rows, err := found.Stmt.(driver.StmtQueryContext).QueryContext(ctx, arguments)
	if err != nil {
		return nil, err
	}
	found.isBusy = true
	return &result{Rows: rows, of: found}, nil
}

func (c *connection) IsValid() bool { return c.capabilities.(driver.Validator).IsValid() }

func (c *connection) Close() error {
	for _, compiled := range c.compiled {
		_ = compiled.Close()
	}
	return c.capabilities.Close()
}

// statement gives what a query was compiled to, or nil where it is not to be kept, or is at a result.
func (c *connection) statement(ctx context.Context, query string) (*statement, error) {
	if found := c.compiled[query]; found != nil {
		if found.isBusy {
			return nil, nil
		}
		return found, nil
	}
	if len(c.compiled) >= statementsMost || !isRepeated(query) {
		return nil, nil
	}
	compiled, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.compiled[query] = &statement{Stmt: compiled}
	return c.compiled[query], nil
}

// isRepeated tells what reads and writes rows from what makes tables, which may be several statements in one.
func isRepeated(query string) bool {
	switch verb(query) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN", "COMMIT", "ROLLBACK":
		return !strings.Contains(query, ";")
	}
	return false
}

// result gives its statement free when it is closed.
type result struct {
	driver.Rows
	of *statement
}

func (r *result) Close() error {
	r.of.isBusy = false
	return r.Rows.Close()
}
