package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"threadline/engine/internal/pace"
	"threadline/engine/internal/term"
)

// The guard's own error, which no other statement raises.
const staleCode = "TL001"

// An owner that was frozen within a transaction holds the account's epoch, and whoever claims it waits: for as long as pace.StoreHeld.
const ownedFunction = `CREATE OR REPLACE FUNCTION engine_owned(account TEXT, owned_epoch BIGINT) RETURNS VOID LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM 1 FROM engine_accounts WHERE account_id = account AND epoch = owned_epoch FOR SHARE;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'the epoch is stale' USING ERRCODE = '` + staleCode + `';
		END IF;
	END $$`

const (
	checkOwned     = "SELECT engine_owned($1, $2)"
	rollbackWithin = 5 * time.Second
)

// postgres opens connections whose writes are checked on their way, without a way of their own.
type postgres struct{ driver.Connector }

func newPostgres(address string) (driver.Connector, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["idle_in_transaction_session_timeout"] = strconv.FormatInt(pace.StoreHeld.Milliseconds(), 10)
	return postgres{Connector: stdlib.GetConnector(*config)}, nil
}

func (p postgres) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &owned{writer: &postgresConnection{Conn: opened.(*stdlib.Conn)}}, nil
}

type postgresConnection struct{ *stdlib.Conn }

func (c *postgresConnection) begin(ctx context.Context, owner *term.Term) (driver.Tx, error) {
	batch := &pgx.Batch{}
	batch.Queue("begin")
	batch.Queue(checkOwned, owner.Account, owner.Epoch)
	if err := c.send(ctx, batch); err != nil {
		if !c.Conn.Conn().IsClosed() && c.Conn.Conn().PgConn().TxStatus() != 'I' {
			err = errors.Join(err, c.end("rollback"))
		}
		return nil, err
	}
	return postgresTransaction{ctx: ctx, on: c}, nil
}

// write sends the check and the statement together: what is sent so is one transaction, and the statement is not carried out when the
// check has failed.
func (c *postgresConnection) write(
	ctx context.Context, owner *term.Term, query string, arguments []driver.NamedValue,
) (driver.Result, error) {
	values := make([]any, len(arguments))
	for place, argument := range arguments {
		values[place] = argument.Value
	}
	var changed int64
	batch := &pgx.Batch{}
	batch.Queue(checkOwned, owner.Account, owner.Epoch)
	batch.Queue(query, values...).Exec(func(done pgconn.CommandTag) error {
		changed = done.RowsAffected()
		return nil
	})
	if err := c.send(ctx, batch); err != nil {
		return nil, err
	}
	return driver.RowsAffected(changed), nil
}

func (c *postgresConnection) send(ctx context.Context, batch *pgx.Batch) error {
	connection := c.Conn.Conn()
	if connection.IsClosed() {
		return driver.ErrBadConn
	}
	err := connection.SendBatch(ctx, batch).Close()
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == staleCode {
		return term.ErrStale
	}
	if err != nil && pgconn.SafeToRetry(err) {
		return driver.ErrBadConn
	}
	return err
}

// end commits or rolls back. A connection of which it is not known whether it has is closed.
func (c *postgresConnection) end(how string) error {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackWithin)
	defer cancel()
	done, err := c.Conn.Conn().Exec(ctx, how)
	if err != nil {
		return errors.Join(err, c.Conn.Conn().Close(ctx))
	}
	if how == "commit" && done.String() == "ROLLBACK" {
		return pgx.ErrTxCommitRollback
	}
	return nil
}

type postgresTransaction struct {
	ctx context.Context
	on  *postgresConnection
}

func (t postgresTransaction) Commit() error {
	if err := t.ctx.Err(); err != nil {
		return errors.Join(err, t.on.end("rollback"))
	}
	return t.on.end("commit")
}

func (t postgresTransaction) Rollback() error { return t.on.end("rollback") }
