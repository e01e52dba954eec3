// Package settings reads what the engine is told: where to listen, and where the sessions are kept.
package settings

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

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
	store, err := ReadStore(environment)
	if err != nil {
		return Settings{}, err
	}
	return Settings{Socket: *socket, Store: store}, nil
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
