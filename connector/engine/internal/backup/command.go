package backup

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"filippo.io/age"

	"threadline/engine/internal/settings"
)

const (
	statusFailed   = 1
	statusSettings = 2
)

const usage = `usage: wa-engine new-key --file FILE                      a new key; prints the public half, for --recipient
       wa-engine backup --file FILE --recipient age1...   may be given several times; the engine may run
       wa-engine restore --file FILE --identity KEYFILE   into an empty store; no engine may run on it
ENGINE_STORE names the store, as for the engine itself`

// IsCommand says whether the command line (without the program's name) asks for something of this package's.
func IsCommand(arguments []string) bool {
	return len(arguments) > 0 && (arguments[0] == "backup" || arguments[0] == "restore" || arguments[0] == "new-key")
}

// Run carries the command out, and answers the process's status. What it says on stderr is for people: it holds no key and no address.
func Run(ctx context.Context, arguments []string, environment func(string) string, out, complaints io.Writer) int {
	flags := flag.NewFlagSet("wa-engine "+arguments[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file, identity := flags.String("file", "", ""), flags.String("identity", "", "")
	var recipients []age.Recipient
	flags.Func("recipient", "", func(value string) error {
		recipient, err := age.ParseX25519Recipient(value)
		recipients = append(recipients, recipient)
		return err
	})
	err := flags.Parse(arguments[1:])
	wants := map[string]bool{"backup": len(recipients) > 0, "restore": *identity != "", "new-key": true}
	if err != nil || flags.NArg() > 0 || *file == "" || !wants[arguments[0]] {
		fmt.Fprintln(complaints, usage)
		return statusSettings
	}
	if arguments[0] == "new-key" {
		return answer(out, complaints, "", newKey(*file, out))
	}
	store, err := settings.ReadStore(environment)
	if err != nil {
		fmt.Fprintln(complaints, err)
		return statusSettings
	}
	if arguments[0] == "backup" {
		rows, err := Write(ctx, store, *file, recipients)
		return answer(out, complaints, fmt.Sprintf("%d rows are in the backup", rows), err)
	}
	identities, err := readKey(*identity)
	if err != nil {
		fmt.Fprintln(complaints, err)
		return statusSettings
	}
	rows, err := Restore(ctx, store, *file, identities)
	return answer(out, complaints, fmt.Sprintf("%d rows are restored", rows), err)
}

func answer(out, complaints io.Writer, done string, err error) int {
	if err != nil {
		fmt.Fprintln(complaints, shown(err))
		return statusFailed
	}
	if done != "" {
		fmt.Fprintln(out, done)
	}
	return 0
}

// shown is an error in words that quote no address: those of drivers may hold a password, a number or a row.
func shown(err error) string {
	for _, ours := range []error{ErrKey, ErrBroken, errForeign, ErrNotEmpty, errKind, errKeyStands} {
		if errors.Is(err, ours) {
			return ours.Error()
		}
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Error()
	}
	var told *Refusal
	if errors.As(err, &told) {
		return told.Error()
	}
	return fmt.Sprintf("the store has failed (%T); nothing was written", err)
}

// Refusal is an error in our own words.
type Refusal struct{ words string }

func (r *Refusal) Error() string { return r.words }

var errKeyStands = errors.New("the key's file exists already: it is not overwritten")

func newKey(path string, out io.Writer) error {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return errKeyStands
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := fmt.Fprintf(file, "# public key: %s\n%s\n", key.Recipient(), key); err != nil {
		return err
	}
	fmt.Fprintln(out, key.Recipient())
	return file.Sync()
}

func readKey(path string) ([]age.Identity, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	identities, err := age.ParseIdentities(file)
	if err != nil {
		return nil, errors.New("the key's file holds no key of age's")
	}
	return identities, nil
}
