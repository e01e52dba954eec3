package database

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// IsFailure tells an error of the database itself (locked, full, gone) from one about what was asked of it.
func IsFailure(err error) bool {
	var ofSQLite *sqlite.Error
	var ofPostgres *pgconn.PgError
	var connecting *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &ofSQLite) || errors.As(err, &ofPostgres) || errors.As(err, &connecting) || errors.As(err, &network) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone)
}
