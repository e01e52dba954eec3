// Package accounts keeps who owns an account (the highest epoch that was seen) and which device is linked to it.
package accounts

import (
	"context"
	"database/sql"
	"errors"

	"threadline/engine/internal/database"
)

// ErrStale says that the account was claimed under a higher epoch, by this process or another.
var ErrStale = errors.New("the epoch is stale")

// Registry is the table of accounts.
type Registry struct{ db *database.Database }

func NewRegistry(db *database.Database) *Registry { return &Registry{db: db} }

// Claim takes the account for an epoch, and gives the JID of its device, empty where none is linked. The same epoch may claim again.
func (r *Registry) Claim(ctx context.Context, account string, epoch int64) (string, error) {
	const claim = `INSERT INTO engine_accounts (account_id, epoch) VALUES ($1, $2)
		ON CONFLICT (account_id) DO UPDATE SET epoch = excluded.epoch WHERE engine_accounts.epoch <= excluded.epoch
		RETURNING device_jid`
	var device string
	err := r.db.SQL.QueryRowContext(ctx, claim, account, epoch).Scan(&device)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrStale
	}
	return device, err
}

// Link records the device that is being paired, before WhatsApp is told that it is: a device without its account would be lost.
func (r *Registry) Link(ctx context.Context, account string, epoch int64, device string) error {
	const link = `UPDATE engine_accounts SET device_jid = $1 WHERE account_id = $2 AND epoch = $3`
	result, err := r.db.SQL.ExecContext(ctx, link, device, account, epoch)
	if err != nil {
		return err
	}
	if changed, err := result.RowsAffected(); err != nil || changed > 0 {
		return err
	}
	return ErrStale
}

// Unlink forgets the device.
func (r *Registry) Unlink(ctx context.Context, account string, epoch int64) error {
	return r.Link(ctx, account, epoch, "")
}
