// Package quarantine keeps what its account cannot handle away from it: stanzas whose handling fails each time, and accounts whose handling
// crashes the process.
package quarantine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"

	"threadline/engine/internal/database"
)

const (
	// failuresMost is the number of failures after which a stanza is isolated.
	failuresMost = 2
	// keptFor is how long the store keeps a failed stanza.
	keptFor = 30 * 24 * time.Hour
)

// Stanzas are those of one account whose handling has failed.
type Stanzas struct {
	db      *database.Database
	account string

	mu       sync.Mutex
	failures map[string]int
}

// OpenStanzas reads what is known of an account's failed stanzas, and forgets the old ones.
func OpenStanzas(ctx context.Context, db *database.Database, account string) (*Stanzas, error) {
	s := &Stanzas{db: db, account: account, failures: map[string]int{}}
	const forget = `DELETE FROM engine_quarantine WHERE account_id = $1 AND noted_ms < $2`
	if _, err := db.SQL.ExecContext(ctx, forget, account, time.Now().Add(-keptFor).UnixMilli()); err != nil {
		return nil, err
	}
	rows, err := db.SQL.QueryContext(ctx, `SELECT stanza, failures FROM engine_quarantine WHERE account_id = $1`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var failures int
		if err := rows.Scan(&name, &failures); err != nil {
			return nil, err
		}
		s.failures[name] = failures
	}
	return s, rows.Err()
}

// Failed counts a failure, and says whether the stanza is isolated from now on.
func (s *Stanzas) Failed(ctx context.Context, name, reason string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const note = `INSERT INTO engine_quarantine (account_id, stanza, failures, reason, noted_ms) VALUES ($1, $2, 1, $3, $4)
		ON CONFLICT (account_id, stanza) DO UPDATE
		SET failures = engine_quarantine.failures + 1, reason = excluded.reason, noted_ms = excluded.noted_ms`
	if _, err := s.db.SQL.ExecContext(ctx, note, s.account, name, reason, time.Now().UnixMilli()); err != nil {
		return false, err
	}
	s.failures[name]++
	return s.failures[name] >= failuresMost, nil
}

// Isolates says whether a stanza is isolated.
func (s *Stanzas) Isolates(node *waBinary.Node) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.failures) > 0 && s.failures[NameOf(node)] >= failuresMost
}

// Keep gives the statement that keeps an isolated stanza as it came over the wire.
func (s *Stanzas) Keep(name string, wire []byte) database.Statement {
	const keep = `UPDATE engine_quarantine SET wire = $1 WHERE account_id = $2 AND stanza = $3`
	return database.Statement{Query: keep, Arguments: []any{wire, s.account, name}}
}

// NameOf names a stanza, the same each time WhatsApp hands it over.
func NameOf(node *waBinary.Node) string {
	digest := sha256.New()
	fmt.Fprintf(digest, "%q", node.Tag)
	for _, attribute := range []string{"id", "from", "participant", "recipient", "type", "t"} {
		fmt.Fprintf(digest, " %q", fmt.Sprint(node.Attrs[attribute]))
	}
	return hex.EncodeToString(digest.Sum(nil)[:16])
}
