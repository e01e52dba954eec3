// Package settings reads what the engine is told: where to listen, and where the sessions are kept.
package settings

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.mau.fi/whatsmeow/store"
)

// historyMiB is how much of each account's history is kept unless ENGINE_HISTORY_MIB says so.
const historyMiB = 64

// Kind is the database that holds the sessions.
type Kind string

const (
	SQLite   Kind = "sqlite"
	Postgres Kind = "postgres"
)

// Store is one database for all accounts of an engine.
type Store struct {
	Kind Kind
	// Address is a file's path for SQLite, a connection URL for Postgres. It may hold a password: it is never logged.
	Address string
}

// Settings are complete and checked.
type Settings struct {
	Socket string
	Store  Store
	// WebVersion is the version of WhatsApp Web to name at each connect; zero: the newest known one.
	WebVersion store.WAVersionContainer
	// HistoryBytes is how much of each account's history is kept; 0: nothing.
	HistoryBytes int64
}

// Read takes the command line (without the program's name) and the environment. Its errors are for people.
func Read(arguments []string, environment func(string) string) (Settings, error) {
	flags := flag.NewFlagSet("wa-engine", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	socket := flags.String("socket", "", "")
	if err := flags.Parse(arguments); err != nil {
		return Settings{}, fmt.Errorf("usage: wa-engine --socket PATH (%w)", err)
	}
	if *socket == "" || flags.NArg() > 0 {
		return Settings{}, errors.New("usage: wa-engine --socket PATH")
	}
	place, err := ReadStore(environment)
	if err != nil {
		return Settings{}, err
	}
	version, err := parseVersion(environment("ENGINE_WEB_VERSION"))
	if err != nil {
		return Settings{}, err
	}
	historyBytes, err := readHistoryBytes(environment)
	if err != nil {
		return Settings{}, err
	}
	return Settings{Socket: *socket, Store: place, WebVersion: version, HistoryBytes: historyBytes}, nil
}

var threeNumbers = regexp.MustCompile(`^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,10}$`)

func parseVersion(value string) (store.WAVersionContainer, error) {
	refused := errors.New("ENGINE_WEB_VERSION must be a version of WhatsApp Web, such as 2.3000.1047769893, or not be set")
	if value == "" {
		return store.WAVersionContainer{}, nil
	}
	if !threeNumbers.MatchString(value) {
		return store.WAVersionContainer{}, refused
	}
	version, err := store.ParseVersion(value)
	if err != nil || version.IsZero() || version.String() != value { // a number that does not fit into 32 bits reads as another
		return store.WAVersionContainer{}, refused
	}
	return version, nil
}

func readHistoryBytes(environment func(string) string) (int64, error) {
	value := environment("ENGINE_HISTORY_MIB")
	if value == "" {
		return historyMiB << 20, nil
	}
	mib, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return 0, errors.New("ENGINE_HISTORY_MIB must be a whole number from 0 to 65535")
	}
	return int64(mib) << 20, nil
}

// ReadStore takes the store's place from the environment.
func ReadStore(environment func(string) string) (Store, error) {
	return parseStore(environment("ENGINE_STORE"))
}

func parseStore(value string) (Store, error) {
	if path, ok := strings.CutPrefix(value, "sqlite:"); ok && strings.HasPrefix(path, "/") {
		return Store{Kind: SQLite, Address: path}, nil
	}
	if strings.HasPrefix(value, "postgres://") || strings.HasPrefix(value, "postgresql://") {
		return Store{Kind: Postgres, Address: value}, nil
	}
	return Store{}, errors.New("ENGINE_STORE must be sqlite:/path/of/a/file, or a URL that begins with postgres://")
}
