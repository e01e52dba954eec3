package backup

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// A value of a column as a line of a backup holds it: null, true, a whole number and a text as themselves, bytes in base64 under "b", and a
// text that is no valid UTF-8, which JSON would change, under "t".
type coded struct {
	Bytes *string `json:"b,omitempty"`
	Text  *string `json:"t,omitempty"`
}

func encoded(value any) (any, error) {
	switch value := value.(type) {
	case nil, bool, int64:
		return value, nil
	case string:
		if utf8.ValidString(value) {
			return value, nil
		}
		text := base64.StdEncoding.EncodeToString([]byte(value))
		return coded{Text: &text}, nil
	case []byte:
		bytes := base64.StdEncoding.EncodeToString(value)
		return coded{Bytes: &bytes}, nil
	case [16]byte: // a UUID
		return fmt.Sprintf("%x-%x-%x-%x-%x", value[:4], value[4:6], value[6:8], value[8:10], value[10:]), nil
	case time.Time:
		return nil, errKind // no table has one; its form would depend on the database
	}
	return nil, errKind
}

func decoded(value any) (any, error) {
	switch value := value.(type) {
	case nil, bool, string:
		return value, nil
	case json.Number:
		return value.Int64()
	case map[string]any:
		if text, ok := value["t"].(string); ok {
			raw, err := base64.StdEncoding.DecodeString(text)
			return string(raw), err
		}
		if bytes, ok := value["b"].(string); ok {
			raw, err := base64.StdEncoding.DecodeString(bytes)
			if raw == nil {
				raw = []byte{} // empty is not null
			}
			return raw, err
		}
	}
	return nil, errForeign
}
