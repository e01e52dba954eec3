package database

import "context"

// State is what a database says of itself.
type State struct {
	Version  string
	ReadOnly bool
}

// Check asks the database for its state. It writes nothing.
func (d *Database) Check(ctx context.Context) (State, error) {
	query := d.Choose(
		"SELECT sqlite_version(), 'off'",
		"SELECT current_setting('server_version'), current_setting('transaction_read_only')",
	)
	var state State
	var readOnly string
	if err := d.SQL.QueryRowContext(Unowned(ctx), query).Scan(&state.Version, &readOnly); err != nil {
		return State{}, err
	}
	state.ReadOnly = readOnly == "on"
	return state, nil
}
