package database

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// IsFailure tells an error of the database itself (locked, full, gone) from one about what was asked of it.
func IsFailure(err error) bool {
	if IsRefusal(err) {
		return false
	}
	var ofSQLite *sqlite.Error
	var ofPostgres *pgconn.PgError
	var connecting *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &ofSQLite) || errors.As(err, &ofPostgres) || errors.As(err, &connecting) || errors.As(err, &network) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone)
}

// Classes of PostgreSQL's error codes (its documentation, Appendix A): a value that its type cannot hold, and a limit of PostgreSQL itself,
// such as the size of a key.
const (
	dataException        = "22"
	programLimitExceeded = "54"
)

// IsRefusal says whether the database will never take what it was given, however often it is tried again.
func IsRefusal(err error) bool {
	var ofSQLite *sqlite.Error
	if errors.As(err, &ofSQLite) {
		switch ofSQLite.Code() & 0xff { // the rest is the extended code
		case sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE:
			return true
		}
		return false
	}
	var ofPostgres *pgconn.PgError
	if errors.As(err, &ofPostgres) && len(ofPostgres.Code) == 5 {
		class := ofPostgres.Code[:2]
		return class == dataException || class == programLimitExceeded
	}
	return false
}
