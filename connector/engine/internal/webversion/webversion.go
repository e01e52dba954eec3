// Package webversion knows which version of WhatsApp Web the engine names when it connects. WhatsApp refuses old ones with 405.
package webversion

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"

	"threadline/engine/internal/database"
	"threadline/engine/internal/journal"
)

// Version is whatsmeow's: three numbers.
type Version = store.WAVersionContainer

const (
	fetchWithin = 10 * time.Second
	// renewedLately: sessions that are refused together share one answer.
	renewedLately = 30 * time.Second
)

// Answer says what is known after a version was refused.
type Answer int

const (
	// Newer: another version than the refused one is to be used now.
	Newer Answer = iota
	// None: the refused version is the newest that there is.
	None
	// Unknown: web.whatsapp.com could not be asked.
	Unknown
)

// Versions is the process's. The newest version that was fetched is kept in the session store, for all engines that share it.
type Versions struct {
	db      *database.Database
	http    *http.Client
	isFixed bool

	mu      sync.Mutex
	current Version
	under   *fetch    // the latest one
	renewed time.Time // when a fetch after a refusal ended well
}

type fetch struct {
	done chan struct{}
	err  error // set before `done` is closed
}

// Open begins with the fixed version, where one is given, else with the newest of the built-in and the stored one.
func Open(ctx context.Context, db *database.Database, client *http.Client, fixed Version) (*Versions, error) {
	versions := &Versions{db: db, http: client, isFixed: !fixed.IsZero(), current: fixed}
	if versions.isFixed {
		return versions, nil
	}
	versions.current = store.GetWAVersion()
	var stored string
	err := db.SQL.QueryRowContext(ctx, `SELECT version FROM engine_web_version WHERE id = 1`).Scan(&stored)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if parsed, err := store.ParseVersion(stored); err == nil {
		versions.raise(parsed)
	}
	return versions, nil
}

// Current is the version to connect with.
func (v *Versions) Current() Version {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.current
}

// IsFixed says that the environment names the version: none is fetched.
func (v *Versions) IsFixed() bool { return v.isFixed }

// Refresh fetches the newest version from web.whatsapp.com and stores it. It takes ten seconds at most. A failure changes nothing.
func (v *Versions) Refresh(ctx context.Context) error {
	if v.isFixed {
		return nil
	}
	v.mu.Lock()
	under := v.under
	if under == nil || under.isOver() {
		under = &fetch{done: make(chan struct{})}
		v.under = under
		go v.fetch(under)
	}
	v.mu.Unlock()
	select {
	case <-under.done:
		return under.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Renew is asked after WhatsApp has refused a version. Many sessions may ask at once: one request is made for all of them.
func (v *Versions) Renew(ctx context.Context, refused Version) Answer {
	if v.isFixed {
		return None
	}
	if v.Current() != refused { // another session's question was answered meanwhile
		return Newer
	}
	if !v.wasRenewedLately() {
		if err := v.Refresh(ctx); err != nil {
			return Unknown
		}
		v.mu.Lock()
		v.renewed = time.Now()
		v.mu.Unlock()
	}
	if v.Current() != refused {
		return Newer
	}
	return None
}

func (v *Versions) wasRenewedLately() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Since(v.renewed) < renewedLately
}

func (v *Versions) fetch(under *fetch) {
	ctx, cancel := context.WithTimeout(database.Unowned(context.Background()), fetchWithin)
	defer cancel()
	defer close(under.done)
	newest, err := whatsmeow.GetLatestVersion(ctx, v.http)
	under.err = err
	if err != nil {
		journal.WebVersionNotFetched(err)
		return
	}
	if !v.raise(*newest) {
		return
	}
	const keep = `INSERT INTO engine_web_version (id, version) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET version = excluded.version`
	if _, err := v.db.SQL.ExecContext(ctx, keep, newest.String()); err != nil {
		journal.WebVersionNotStored(err)
	}
	journal.WebVersionFetched(newest.String())
}

// raise takes a version that is newer than the current one.
func (v *Versions) raise(to Version) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.current.LessThan(to) {
		return false
	}
	v.current = to
	return true
}

func (f *fetch) isOver() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}
