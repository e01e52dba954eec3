package database

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"threadline/engine/internal/pace"
	"threadline/engine/internal/settings"
)

// Reading is a store that is only read, beside the engine that writes it.
type Reading struct {
	sql  *sql.DB
	kind settings.Kind
}

// OpenReading opens a store that exists. It makes no tables.
func OpenReading(_ context.Context, store settings.Store) (*Reading, error) {
	if store.Kind == settings.Postgres {
		config, err := pgx.ParseConfig(store.Address)
		if err != nil {
			return nil, err
		}
		config.RuntimeParams["default_transaction_read_only"] = "on"
		return &Reading{sql: stdlib.OpenDB(*config), kind: store.Kind}, nil
	}
	if _, err := os.Stat(store.Address); err != nil {
		return nil, err
	}
	pragmas := url.Values{"mode": {"rw"}, "_pragma": {fmt.Sprintf("busy_timeout(%d)", pace.StoreBusy.Milliseconds()), "query_only(1)"}}
	address := url.URL{Scheme: "file", Opaque: (&url.URL{Path: store.Address}).EscapedPath(), RawQuery: pragmas.Encode()}
	opened, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, err
	}
	opened.SetMaxOpenConns(1)
	return &Reading{sql: opened, kind: store.Kind}, nil
}

// Snapshot begins a transaction in which the whole store is that of one moment. It holds up nobody who writes.
func (r *Reading) Snapshot(ctx context.Context) (*sql.Tx, error) {
	isolation := sql.LevelDefault // on SQLite each transaction is a snapshot, from its first reading on
	if r.kind == settings.Postgres {
		isolation = sql.LevelRepeatableRead
	}
	return r.sql.BeginTx(ctx, &sql.TxOptions{Isolation: isolation, ReadOnly: true})
}

func (r *Reading) Close() error { return r.sql.Close() }
