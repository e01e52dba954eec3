package backup

import "threadline/engine/internal/settings"

// tables are those that a backup holds, in an order in which each stands after those that it refers to. A table of the store that is not
// among them (of a newer whatsmeow, say) makes a backup fail, rather than lack it.
var tables = []string{
	"whatsmeow_device",
	"whatsmeow_identity_keys",
	"whatsmeow_pre_keys",
	"whatsmeow_sessions",
	"whatsmeow_sender_keys",
	"whatsmeow_app_state_sync_keys",
	"whatsmeow_app_state_version",
	"whatsmeow_app_state_mutation_macs",
	"whatsmeow_contacts",
	"whatsmeow_chat_settings",
	"whatsmeow_message_secrets",
	"whatsmeow_privacy_tokens",
	"whatsmeow_nct_salt",
	"whatsmeow_lid_map",
	"whatsmeow_event_buffer",
	"whatsmeow_retry_buffer",
	"engine_accounts",
	"engine_inbox",
	"engine_acknowledged",
	"engine_marks",
	"engine_history",
	"engine_history_parts",
	"engine_history_chunks",
	"engine_backlog",
	"engine_backlog_arrived",
	"engine_timers",
	"engine_web_version",
	"engine_quarantine",
	"engine_crashes",
}

// versionTable says which tables whatsmeow has made. It is compared, and not restored.
const versionTable = "whatsmeow_version"

const versionQuery = "SELECT version FROM whatsmeow_version"

// tablesQuery gives the names of the store's tables.
func tablesQuery(kind settings.Kind) string {
	if kind == settings.Postgres {
		return `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()
			AND (table_name LIKE 'whatsmeow\_%' OR table_name LIKE 'engine\_%')`
	}
	return `SELECT name FROM sqlite_master WHERE type = 'table' AND (name LIKE 'whatsmeow\_%' ESCAPE '\' OR name LIKE 'engine\_%' ESCAPE '\')`
}
