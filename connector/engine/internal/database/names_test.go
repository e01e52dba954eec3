package database

import (
	"database/sql/driver"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"go.mau.fi/whatsmeow/types"
)

func TestANameThatPostgresRefusesIsStoredAsItsHash(t *testing.T) {
	for _, name := range []string{"EF\x00GH", "3A\xff", strings.Repeat("7", 12_000)} {
		stored := storable(name)
		if len(stored) > 100 || strings.IndexByte(stored, 0) >= 0 || !utf8.ValidString(stored) || stored == storable(name+"x") {
			t.Errorf("%.20q is stored as %q", name, stored)
		}
		if storable(stored) != stored {
			t.Errorf("a stored name that is stored again, by a restore, must be the same: %q", stored)
		}
	}
}

func TestAnOrdinaryNameIsStoredAsItIs(t *testing.T) {
	for _, name := range []string{"", "3EB0C767D097B7C7C030", "40711111111@s.whatsapp.net", "Ana 🦊"} {
		if storable(name) != name {
			t.Errorf("%q becomes %q", name, storable(name))
		}
	}
}

func TestWhatIsStoredAsATextIsMadeStorableAndNothingElse(t *testing.T) {
	jid := driver.NamedValue{Value: types.NewJID("4\x001", types.DefaultUserServer)}
	makeStorable(&jid)
	if stored, isText := jid.Value.(string); !isText || strings.Contains(stored, "\x00") {
		t.Errorf("a JID becomes %q", jid.Value)
	}
	blob := driver.NamedValue{Value: []byte("\x00\xff")}
	makeStorable(&blob)
	if bytes, isBlob := blob.Value.([]byte); !isBlob || string(bytes) != "\x00\xff" {
		t.Errorf("bytes become %q", blob.Value)
	}
}

func TestARefusedValueIsNoFailureOfTheDatabase(t *testing.T) {
	for code, refused := range map[string]bool{"22021": true, "54000": true, "22P02": true, "53100": false, "57P01": false, "40001": false} {
		err := error(&pgconn.PgError{Code: code})
		if IsRefusal(err) != refused || IsFailure(err) == refused || !(IsRefusal(err) || IsFailure(err)) {
			t.Errorf("%s: refusal %v, failure %v", code, IsRefusal(err), IsFailure(err))
		}
	}
	if IsRefusal(errors.New("something else")) {
		t.Error("not every error is a refusal")
	}
}
