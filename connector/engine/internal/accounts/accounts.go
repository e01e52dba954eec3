// Package accounts keeps who owns an account (the highest epoch that was seen) and which device is linked to it.
package accounts

import (
	"context"
	"database/sql"
	"errors"

	"threadline/engine/internal/database"
	"threadline/engine/internal/term"
)

// Registry is the table of accounts.
type Registry struct{ db *database.Database }

func NewRegistry(db *database.Database) *Registry { return &Registry{db: db} }

// Claim takes the account for a term's epoch, and gives the JID of its device, empty where none is linked. The same epoch may claim again.
// Raises term.ErrStale. When it returns, nothing of an owner before is under way in the store, nor will be.
func (r *Registry) Claim(ctx context.Context, owner *term.Term) (string, error) {
	const claim = `INSERT INTO engine_accounts (account_id, epoch) VALUES ($1, $2)
		ON CONFLICT (account_id) DO UPDATE SET epoch = excluded.epoch WHERE engine_accounts.epoch <= excluded.epoch
		RETURNING device_jid`
	var device string
	err := r.db.SQL.QueryRowContext(database.Unowned(ctx), claim, owner.Account, owner.Epoch).Scan(&device)
	if errors.Is(err, sql.ErrNoRows) {
		return "", term.ErrStale
	}
	return device, err
}

// Link records the device that is being paired, before WhatsApp is told that it is: a device without its account would be lost.
func (r *Registry) Link(ctx context.Context, account, device string) error {
	_, err := r.db.SQL.ExecContext(ctx, `UPDATE engine_accounts SET device_jid = $1 WHERE account_id = $2`, device, account)
	return err
}

// Unlink forgets the device.
func (r *Registry) Unlink(ctx context.Context, account string) error {
	return r.Link(ctx, account, "")
}
