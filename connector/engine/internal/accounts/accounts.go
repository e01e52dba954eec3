// Package accounts keeps who owns an account (the highest epoch that was seen), which device is linked to it, and how far its store has come.
package accounts

import (
	"context"
	"database/sql"
	"errors"

	"threadline/engine/internal/database"
	"threadline/engine/internal/inbox"
	"threadline/engine/internal/term"
)

// Registry is the table of accounts.
type Registry struct{ db *database.Database }

func NewRegistry(db *database.Database) *Registry { return &Registry{db: db} }

// Claimed is an account as the claim found it.
type Claimed struct {
	// Device is the linked one's JID, empty where none is linked.
	Device string
	Mark   *Mark
}

// Claim takes the account for a term's epoch. The same epoch may claim again. Raises term.ErrStale and term.ErrOver. When it returns, nothing of an owner
// before is under way in the store, nor will be.
//
// `known` is the highest mark that was told of the account's store. A lower one here is written down in the same transaction, since the
// new epoch itself raises it: from then on Mark.IsBehind says so, and the mark is not lower than what is known.
func (r *Registry) Claim(ctx context.Context, owner *term.Term, known uint64) (Claimed, error) {
	ctx = database.Unowned(ctx)
	transaction, err := r.db.SQL.BeginTx(ctx, nil)
	if err != nil {
		return Claimed{}, err
	}
	defer transaction.Rollback()
	claimed, err := r.claim(ctx, transaction, owner, known)
	if err != nil {
		return Claimed{}, err
	}
	// It may have waited for an owner before. A claim that stands after the term's end would shut the next owner out of the store.
	if err := owner.Err(); err != nil {
		return Claimed{}, err
	}
	if err := transaction.Commit(); err != nil {
		return Claimed{}, err
	}
	return claimed, r.db.Sync(ctx) // the owner is told the mark: it must not shrink by a power cut
}

func (r *Registry) claim(ctx context.Context, transaction *sql.Tx, owner *term.Term, known uint64) (Claimed, error) {
	former := int64(0)
	const look = `SELECT epoch FROM engine_accounts WHERE account_id = $1`
	if err := transaction.QueryRowContext(ctx, look, owner.Account).Scan(&former); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Claimed{}, err
	}
	const claim = `INSERT INTO engine_accounts (account_id, epoch) VALUES ($1, $2)
		ON CONFLICT (account_id) DO UPDATE SET epoch = excluded.epoch WHERE engine_accounts.epoch <= excluded.epoch
		RETURNING device_jid`
	claimed := Claimed{Mark: &Mark{db: r.db, account: owner.Account, epoch: owner.Epoch}}
	err := transaction.QueryRowContext(ctx, claim, owner.Account, owner.Epoch).Scan(&claimed.Device)
	if errors.Is(err, sql.ErrNoRows) {
		return Claimed{}, term.ErrStale
	}
	if err != nil {
		return Claimed{}, err
	}
	// From here on nobody else writes for the account.
	sequence, err := inbox.Last(ctx, transaction, owner.Account)
	if err != nil {
		return Claimed{}, err
	}
	const count = `SELECT frames, behind FROM engine_marks WHERE account_id = $1`
	err = transaction.QueryRowContext(ctx, count, owner.Account).Scan(&claimed.Mark.frames, &claimed.Mark.behind)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Claimed{}, err
	}
	if stands := sequence + uint64(claimed.Mark.frames) + uint64(former); stands < known {
		claimed.Mark.frames += int64(known - stands)
		claimed.Mark.behind = true
		const note = `INSERT INTO engine_marks (account_id, frames, behind) VALUES ($1, $2, TRUE)
			ON CONFLICT (account_id) DO UPDATE SET frames = excluded.frames, behind = TRUE`
		if _, err := transaction.ExecContext(ctx, note, owner.Account, claimed.Mark.frames); err != nil {
			return Claimed{}, err
		}
	}
	return claimed, nil
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
