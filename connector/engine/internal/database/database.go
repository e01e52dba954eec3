// Package database opens the one database of an engine: whatsmeow's tables for the devices, and the engine's own beside them.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"go.mau.fi/util/dbutil"
	"go.mau.fi/whatsmeow/store/sqlstore"

	"threadline/engine/internal/pace"
	"threadline/engine/internal/settings"
)

// What Postgres is asked for while the tables are made: engines that start together take turns.
const upgradeLock = 0x7468726561646c69

const postgresConnections = 16

// Database is shared by all accounts of the engine.
type Database struct {
	SQL     *sql.DB
	Kind    settings.Kind
	Devices *sqlstore.Container
	flusher *flusher // nil on Postgres
}

// ErrNewer is wrapped by Open's error where a newer engine has upgraded the store to tables that this one does not know.
var ErrNewer = dbutil.ErrUnsupportedDatabaseVersion

// Open connects, and makes the tables that are missing.
func Open(ctx context.Context, store settings.Store) (*Database, error) {
	ctx = Unowned(ctx)
	connection, err := connect(store)
	if err != nil {
		return nil, err
	}
	database := &Database{SQL: connection, Kind: store.Kind}
	if err := database.upgrade(ctx); err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	if store.Kind == settings.SQLite {
		if database.flusher, err = openFlusher(store.Address); err != nil {
			return nil, errors.Join(err, connection.Close())
		}
	}
	return database, nil
}

func (d *Database) Close() error { return d.SQL.Close() }

// Choose gives the statement that this kind of database understands.
func (d *Database) Choose(sqlite, postgres string) string {
	if d.Kind == settings.Postgres {
		return postgres
	}
	return sqlite
}

func connect(store settings.Store) (*sql.DB, error) {
	if store.Kind == settings.Postgres {
		connector, err := newPostgres(store.Address)
		if err != nil {
			return nil, err
		}
		connection := sql.OpenDB(connector)
		connection.SetMaxOpenConns(postgresConnections)
		connection.SetMaxIdleConns(postgresConnections)
		return connection, nil
	}
	connection := sql.OpenDB(compiling{address: sqliteAddress(store.Address)})
	connection.SetMaxOpenConns(1) // one writer: nobody in this process ever meets a lock of another
	connection.SetMaxIdleConns(1)
	return connection, nil
}

// sqliteAddress asks for what a commit must mean here: with the operating system (NORMAL; see Sync), whoever else reads (WAL), and
// waiting for a lock rather than failing, since whatsmeow takes a failure while it decrypts for a message that cannot be decrypted.
func sqliteAddress(path string) string {
	pragmas := url.Values{
		"_pragma": {fmt.Sprintf("busy_timeout(%d)", pace.StoreBusy.Milliseconds()), "foreign_keys(1)", "journal_mode(WAL)", "synchronous(NORMAL)"},
		"_txlock": {"immediate"},
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: pragmas.Encode()}).String()
}

func (d *Database) upgrade(ctx context.Context) error {
	dialect := d.Choose("sqlite", "postgres")
	d.Devices = sqlstore.NewWithDB(d.SQL, dialect, nil)
	unlock, err := d.lockUpgrade(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.Devices.Upgrade(ctx); err != nil {
		return fmt.Errorf("whatsmeow's tables: %w", err)
	}
	for _, statement := range d.ownTables() {
		if _, err := d.SQL.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("the engine's tables: %w", err)
		}
	}
	return nil
}

func (d *Database) lockUpgrade(ctx context.Context) (func(), error) {
	if d.Kind != settings.Postgres {
		return func() {}, nil
	}
	connection, err := d.SQL.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := connection.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(upgradeLock)); err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	return func() {
		_, _ = connection.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(upgradeLock))
		_ = connection.Close()
	}, nil
}

func (d *Database) ownTables() []string {
	blob := d.Choose("BLOB", "BYTEA")
	tables := []string{
		`CREATE TABLE IF NOT EXISTS engine_accounts (
			account_id TEXT PRIMARY KEY, epoch BIGINT NOT NULL, device_jid TEXT NOT NULL DEFAULT '')`,
		`CREATE TABLE IF NOT EXISTS engine_inbox (
			account_id TEXT NOT NULL, sequence BIGINT NOT NULL, event ` + blob + ` NOT NULL, PRIMARY KEY (account_id, sequence))`,
		`CREATE TABLE IF NOT EXISTS engine_acknowledged (
			account_id TEXT PRIMARY KEY, sequence BIGINT NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS engine_marks (
			account_id TEXT PRIMARY KEY, frames BIGINT NOT NULL, behind BOOLEAN NOT NULL DEFAULT FALSE)`,
		`CREATE TABLE IF NOT EXISTS engine_history (
			account_id TEXT NOT NULL, digest TEXT NOT NULL, notification ` + blob + ` NOT NULL, PRIMARY KEY (account_id, digest))`,
		// What is kept of a history: a part exists when its row in engine_history_parts does, and its content is in chunks.
		`CREATE TABLE IF NOT EXISTS engine_history_parts (
			account_id TEXT NOT NULL, digest TEXT NOT NULL, sync_type TEXT NOT NULL, chunk_order BIGINT NOT NULL, kept_ms BIGINT NOT NULL,
			bytes BIGINT NOT NULL, notification ` + blob + ` NOT NULL, PRIMARY KEY (account_id, digest))`,
		`CREATE TABLE IF NOT EXISTS engine_history_chunks (
			account_id TEXT NOT NULL, digest TEXT NOT NULL, place BIGINT NOT NULL, content ` + blob + ` NOT NULL,
			PRIMARY KEY (account_id, digest, place))`,
		`CREATE TABLE IF NOT EXISTS engine_backlog (
			account_id TEXT NOT NULL, ordinal BIGINT NOT NULL, messages BIGINT NOT NULL, announced_ms BIGINT NOT NULL,
			PRIMARY KEY (account_id, ordinal))`,
		`CREATE TABLE IF NOT EXISTS engine_backlog_arrived (
			account_id TEXT NOT NULL, stanza TEXT NOT NULL, ordinal BIGINT NOT NULL, PRIMARY KEY (account_id, stanza))`,
		`CREATE TABLE IF NOT EXISTS engine_timers (
			account_id TEXT NOT NULL, chat TEXT NOT NULL, seconds BIGINT NOT NULL, set_at BIGINT NOT NULL, PRIMARY KEY (account_id, chat))`,
		`CREATE TABLE IF NOT EXISTS engine_web_version (
			id INTEGER PRIMARY KEY, version TEXT NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS engine_quarantine (
			account_id TEXT NOT NULL, stanza TEXT NOT NULL, failures BIGINT NOT NULL, reason TEXT NOT NULL, noted_ms BIGINT NOT NULL,
			wire ` + blob + `, PRIMARY KEY (account_id, stanza))`,
		`CREATE TABLE IF NOT EXISTS engine_crashes (
			account_id TEXT PRIMARY KEY, crashes BIGINT NOT NULL, unexplained BIGINT NOT NULL, crashed_ms BIGINT NOT NULL,
			in_hand TEXT NOT NULL DEFAULT '')`,
	}
	if d.Kind == settings.Postgres {
		tables = append(tables, ownedFunction)
	}
	return tables
}
