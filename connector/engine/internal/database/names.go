package database

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// nameMost is the number of bytes of a text that is stored as it is. PostgreSQL takes at most 2,704 bytes in an entry of an index, and
// whatsmeow's longest key has four texts (whatsmeow_message_secrets).
const nameMost = 512

const hashedPrefix = "sha256:"

// storable gives the form in which a text is stored and looked up. The text columns hold names, and others choose most of them: a message's
// id is whatever its sender wrote. PostgreSQL refuses a NUL, bytes that are not UTF-8, and long keys. Such a name is stored as its hash.
func storable(name string) string {
	if len(name) <= nameMost && utf8.ValidString(name) && !strings.Contains(name, "\x00") {
		return name
	}
	digest := sha256.Sum256([]byte(name))
	return hashedPrefix + hex.EncodeToString(digest[:])
}

// makeStorable replaces an argument that is a text, or is stored as one, by its stored form.
func makeStorable(argument *driver.NamedValue) {
	if converted, err := driver.DefaultParameterConverter.ConvertValue(argument.Value); err == nil {
		if name, isText := converted.(string); isText {
			argument.Value = storable(name)
		}
	}
}
