// Package backup writes the session store into an encrypted file, and such a file into an empty store, of either kind.
//
// The file: age, encrypted for recipients whose private keys this program does not have; within it gzip; within that lines of JSON: a head,
// then for each table its name and columns and a line a row, then a foot with the number of rows. Nothing is on the disk in the clear.
package backup

import (
	"bufio"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"filippo.io/age"

	"threadline/engine/internal/database"
	"threadline/engine/internal/settings"
)

const (
	format     = "wa-engine backup 1"
	lineLimit  = 256 << 20
	unfinished = ".unfinished"
)

var (
	errKind = errors.New("a column is of a kind that a backup cannot hold")
	// ErrKey says that the file is not for this key.
	ErrKey = errors.New("the backup cannot be opened with this key")
	// ErrBroken says that the file is cut off or was changed.
	ErrBroken  = errors.New("the backup is cut off or was changed; nothing was written")
	errForeign = errors.New("the file is no backup of this program's; nothing was written")
	// ErrNotEmpty says that the store is in use.
	ErrNotEmpty = errors.New("the store is not empty: a backup is restored into an empty one; nothing was written")
)

// head is the first line.
type head struct {
	Format    string `json:"format"`
	Whatsmeow int    `json:"whatsmeow"`
}

// line is each of the others: the beginning of a table, a row, or the foot.
type line struct {
	Table   string   `json:"table,omitempty"`
	Columns []string `json:"columns,omitempty"`
	Row     []any    `json:"row,omitempty"`
	Rows    *int64   `json:"rows,omitempty"`
}

// Write makes a backup of a store, which may be in use: it is the store of one moment. It takes its name when it is complete. Answers the
// number of rows.
func Write(ctx context.Context, store settings.Store, path string, recipients []age.Recipient) (int64, error) {
	reading, err := database.OpenReading(ctx, store)
	if err != nil {
		return 0, fmt.Errorf("the store cannot be read: %w", err)
	}
	defer reading.Close()
	snapshot, err := reading.Snapshot(ctx)
	if err != nil {
		return 0, fmt.Errorf("the store cannot be read: %w", err)
	}
	defer snapshot.Rollback()
	file, err := os.OpenFile(path+unfinished, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, fmt.Errorf("the file cannot be written: %w", err)
	}
	defer file.Close()
	rows, err := encrypt(ctx, snapshot, store.Kind, file, recipients)
	if err == nil {
		err = errors.Join(file.Sync(), file.Close())
	}
	if err == nil {
		err = os.Rename(path+unfinished, path)
	}
	if err != nil {
		_ = os.Remove(path + unfinished)
		return 0, err
	}
	return rows, nil
}

func encrypt(ctx context.Context, from *sql.Tx, kind settings.Kind, into io.Writer, recipients []age.Recipient) (int64, error) {
	sealed, err := age.Encrypt(into, recipients...)
	if err != nil {
		return 0, err
	}
	small := gzip.NewWriter(sealed)
	rows, err := dump(ctx, from, kind, json.NewEncoder(small))
	if err != nil {
		return 0, err
	}
	return rows, errors.Join(small.Close(), sealed.Close())
}

func dump(ctx context.Context, from *sql.Tx, kind settings.Kind, to *json.Encoder) (int64, error) {
	present, err := names(ctx, from, kind)
	if err != nil {
		return 0, err
	}
	first := head{Format: format}
	if err := from.QueryRowContext(ctx, versionQuery).Scan(&first.Whatsmeow); err != nil {
		return 0, fmt.Errorf("this is no session store: %w", err)
	}
	if err := to.Encode(first); err != nil {
		return 0, err
	}
	total := int64(0)
	for _, table := range tables {
		if !slices.Contains(present, table) {
			continue // of a later engine than has opened the store
		}
		count, err := dumpTable(ctx, from, table, to)
		if err != nil {
			return 0, fmt.Errorf("table %s: %w", table, err)
		}
		total += count
	}
	return total, to.Encode(line{Rows: &total})
}

func names(ctx context.Context, from *sql.Tx, kind settings.Kind) ([]string, error) {
	found, err := from.QueryContext(ctx, tablesQuery(kind))
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var all []string
	for found.Next() {
		var name string
		if err := found.Scan(&name); err != nil {
			return nil, err
		}
		if name != versionTable && !slices.Contains(tables, name) {
			return nil, &Refusal{"the store has a table that a backup would lack: " + name}
		}
		all = append(all, name)
	}
	return all, found.Err()
}

func dumpTable(ctx context.Context, from *sql.Tx, table string, to *json.Encoder) (int64, error) {
	found, err := from.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return 0, err
	}
	defer found.Close()
	columns, err := found.Columns()
	if err != nil {
		return 0, err
	}
	kinds, err := found.ColumnTypes()
	if err != nil {
		return 0, err
	}
	if err := to.Encode(line{Table: table, Columns: columns}); err != nil {
		return 0, err
	}
	count := int64(0)
	values, places := make([]any, len(columns)), make([]any, len(columns))
	for place := range values {
		places[place] = &values[place]
	}
	for found.Next() {
		if err := found.Scan(places...); err != nil {
			return 0, err
		}
		row := make([]any, len(columns))
		for place, value := range values {
			if number, isNumber := value.(int64); isNumber && isTruth(kinds[place]) {
				value = number != 0
			}
			if row[place], err = encoded(value); err != nil {
				return 0, err
			}
		}
		if err := to.Encode(line{Row: row}); err != nil {
			return 0, err
		}
		count++
	}
	return count, found.Err()
}

// isTruth: SQLite keeps truths as numbers, PostgreSQL takes no number for one.
func isTruth(kind *sql.ColumnType) bool { return strings.HasPrefix(kind.DatabaseTypeName(), "BOOL") }

// Restore writes a backup into an empty store: all of it or nothing. The file is read twice: first to its end, to see that it is whole.
func Restore(ctx context.Context, store settings.Store, path string, identities []age.Identity) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("the file cannot be read: %w", err)
	}
	defer file.Close()
	if _, err := read(file, identities, func(head) error { return nil }, func(string, []string, []any) error { return nil }); err != nil {
		return 0, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	into, err := database.Open(ctx, store)
	if err != nil {
		return 0, fmt.Errorf("the store cannot be opened: %w", err)
	}
	rows, err := restore(database.Unowned(ctx), into, file, identities)
	if err == nil {
		err = into.Sync(ctx)
	}
	return rows, errors.Join(err, into.Close())
}

func restore(ctx context.Context, into *database.Database, file io.Reader, identities []age.Identity) (int64, error) {
	transaction, err := into.SQL.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer transaction.Rollback()
	for _, table := range tables {
		var count int64
		if err := transaction.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&count); err != nil {
			return 0, err
		}
		if count > 0 {
			return 0, ErrNotEmpty
		}
	}
	fits := func(first head) error {
		var version int
		if err := transaction.QueryRowContext(ctx, versionQuery).Scan(&version); err != nil {
			return err
		}
		if version != first.Whatsmeow {
			return &Refusal{fmt.Sprintf("the backup's tables are of version %d, this program's of %d: restore it with the program that made it", first.Whatsmeow, version)}
		}
		return nil
	}
	insert := func(table string, columns []string, row []any) error {
		if _, err := transaction.ExecContext(ctx, insertion(table, columns), row...); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
		return nil
	}
	rows, err := read(file, identities, fits, insert)
	if err != nil {
		return 0, err
	}
	return rows, transaction.Commit()
}

func insertion(table string, columns []string) string {
	places := make([]string, len(columns))
	for place := range columns {
		places[place] = fmt.Sprintf("$%d", place+1)
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(columns, ", "), strings.Join(places, ", "))
}

// read goes through a backup to its end.
func read(file io.Reader, identities []age.Identity, begin func(head) error, row func(string, []string, []any) error) (int64, error) {
	opened, err := age.Decrypt(file, identities...)
	var noMatch *age.NoIdentityMatchError
	if errors.As(err, &noMatch) {
		return 0, ErrKey
	}
	if err != nil {
		return 0, errForeign
	}
	large, err := gzip.NewReader(opened)
	if err != nil {
		return 0, whole(opened, errForeign)
	}
	lines := bufio.NewScanner(large)
	lines.Buffer(make([]byte, 64<<10), lineLimit)
	var first head
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &first) != nil || first.Format != format {
		return 0, whole(opened, errForeign)
	}
	if err := begin(first); err != nil {
		return 0, err
	}
	var table string
	var columns []string
	count, told := int64(0), int64(-1)
	for lines.Scan() {
		var next line
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		decoder.UseNumber()
		if err := decoder.Decode(&next); err != nil || told >= 0 {
			return 0, ErrBroken
		}
		switch {
		case next.Rows != nil:
			told = *next.Rows
		case next.Table != "":
			if !slices.Contains(tables, next.Table) || !areNames(next.Columns) {
				return 0, errForeign
			}
			table, columns = next.Table, next.Columns
		case table == "" || len(next.Row) != len(columns):
			return 0, ErrBroken
		default:
			values := make([]any, len(columns))
			for place, value := range next.Row {
				if values[place], err = decoded(value); err != nil {
					return 0, errForeign
				}
			}
			if err := row(table, columns, values); err != nil {
				return 0, err
			}
			count++
		}
	}
	if lines.Err() != nil || told != count {
		return 0, ErrBroken
	}
	return count, nil
}

// whole tells a file that was cut off or changed from one that holds something else.
func whole(opened io.Reader, otherwise error) error {
	if _, err := io.Copy(io.Discard, opened); err != nil {
		return ErrBroken
	}
	return otherwise
}

// areNames keeps anything but names out of a statement.
func areNames(columns []string) bool {
	for _, column := range columns {
		if strings.Trim(column, "abcdefghijklmnopqrstuvwxyz_") != "" || column == "" {
			return false
		}
	}
	return len(columns) > 0
}
