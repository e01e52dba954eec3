// Package journal is the engine's log: JSON lines on stderr, one named function for each noteworthy event.
//
// Nothing secret gets in: no text, number, JID, message id or code. What a library says may quote any of them, so only its message's
// template is kept; an error is named by its type.
package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

var logger = slog.New(slog.DiscardHandler)

// Start directs the log to a writer.
func Start(to io.Writer) {
	rename := func(_ []string, attribute slog.Attr) slog.Attr {
		switch attribute.Key {
		case slog.LevelKey:
			attribute.Key = "severity"
			if attribute.Value.String() == "WARN" {
				attribute.Value = slog.StringValue("WARNING")
			}
		case slog.MessageKey:
			attribute.Key = "message"
		}
		return attribute
	}
	logger = slog.New(slog.NewJSONHandler(to, &slog.HandlerOptions{ReplaceAttr: rename}))
}

// Account writes what happens to one account's session.
type Account struct{ id string }

// For names the account of what is written.
func For(accountID string) Account { return Account{id: accountID} }

func Started(store string) {
	logger.Info("the engine serves", "event", "started", "store", store)
}

func Stopping(why string) {
	logger.Info("the engine stops", "event", "stopping", "why", why)
}

func SettingsRefused(err error) {
	logger.Error("the settings are not usable: "+err.Error(), "event", "settings_refused")
}

func StartFailed(what string, err error) {
	logger.Error("the engine cannot start", "event", "start_failed", "what", what, "error", kindOf(err))
}

func ServingFailed(err error) {
	logger.Error("the engine can no longer serve", "event", "serving_failed", "error", kindOf(err))
}

// CrashedSomewhere writes that the process before this one has ended by a panic, of which no account is known to be the cause.
func CrashedSomewhere() {
	logger.Error("the engine crashed; no account is known to be the cause", "event", "crashed")
}

func SessionsNotClosed() {
	logger.Warn("some sessions took too long to close", "event", "sessions_not_closed")
}

func WebVersionFetched(version string) {
	logger.Info("a newer version of WhatsApp Web is used from now on", "event", "web_version_fetched", "version", version)
}

func WebVersionNotFetched(err error) {
	logger.Warn("the version of WhatsApp Web could not be fetched; the latest known one is used", "event", "web_version_not_fetched",
		"error", kindOf(err))
}

func WebVersionNotStored(err error) {
	logger.Warn("the version of WhatsApp Web could not be stored", "event", "web_version_not_stored", "error", kindOf(err))
}

func (a Account) StateChanged(state, reason string) {
	a.write(slog.LevelInfo, "the session's state has changed", "state_changed", "state", state, "reason", reason)
}

func (a Account) PairingEnded(result, reason string) {
	a.write(slog.LevelInfo, "pairing has ended", "pairing_ended", "result", result, "reason", reason)
}

func (a Account) EventNotSaved(kind string, err error) {
	a.write(slog.LevelWarn, "an event could not be saved yet; it is tried again", "event_not_saved", "kind", kind, "error", kindOf(err))
}

func (a Account) EventGivenBack(kind string) {
	a.write(slog.LevelError, "an event could not be saved: it is left to WhatsApp, which hands it over again", "event_given_back", "kind", kind)
}

func (a Account) Fenced() {
	a.write(slog.LevelWarn, "the store knows a later owner: the session is fenced", "fenced")
}

func (a Account) StoreBehind() {
	a.write(slog.LevelError, "the store is older than what was known of it: its keys are removed, the account must be paired again", "store_behind")
}

func (a Account) TermOver() {
	a.write(slog.LevelWarn, "the owner's term has ended without a word: the session is closed", "term_over")
}

func (a Account) Undecryptable(unavailable bool, count uint64) {
	a.write(slog.LevelWarn, "a message could not be decrypted; its sender, or the phone, is asked again", "undecryptable",
		"unavailable", unavailable, "count", count)
}

func (a Account) BacklogDelivered(announced, lost, undecrypted uint32) {
	level, message := slog.LevelInfo, "what had waited at WhatsApp has arrived"
	if lost > 0 {
		level, message = slog.LevelError, "WhatsApp has announced more messages than it has handed over"
	}
	a.write(level, message, "backlog_delivered", "announced", announced, "lost", lost, "undecrypted", undecrypted)
}

func (a Account) HandlerPanicked(event any, recovered any) {
	a.write(slog.LevelError, "a handler panicked: what it was given is not taken as saved", "handler_panicked",
		"kind", fmt.Sprintf("%T", event), "panic", fmt.Sprintf("%T", recovered))
}

func (a Account) DecryptionPanicked() {
	a.write(slog.LevelError, "the decryption of a message panicked: the message is not taken as saved", "decryption_panicked")
}

// StanzaIsolated writes that a stanza is kept away from its handler. isShown: its chat shows a message in its place.
func (a Account) StanzaIsolated(tag string, isShown bool) {
	a.write(slog.LevelError, "a stanza whose handling fails each time is isolated: it is kept in the store, and acknowledged",
		"stanza_isolated", "tag", tag, "isShown", isShown)
}

// Crashed writes that the process before this one has ended by a panic while it handled the account.
func (a Account) Crashed() {
	a.write(slog.LevelError, "the engine crashed while it handled the account: its stanzas are handled one by one for an hour", "crashed")
}

func (a Account) StoreFailed(what string, err error) {
	a.write(slog.LevelError, "the store has failed", "store_failed", "what", what, "error", kindOf(err))
}

func (a Account) NotUnlinked(err error) {
	a.write(slog.LevelWarn, "the device was forgotten here, but the phone may still list it", "not_unlinked", "error", kindOf(err))
}

func (a Account) HistoryNotTaken(err error) {
	a.write(slog.LevelWarn, "a part of the history could not be taken; it is tried again", "history_not_taken", "error", kindOf(err))
}

func (a Account) NotAnnounced(err error) {
	a.write(slog.LevelWarn, "WhatsApp could not be given the account's name", "not_announced", "error", kindOf(err))
}

func (a Account) HistoryUnreadable(err error) {
	a.write(slog.LevelWarn, "a part of the history cannot be read", "history_unreadable", "error", kindOf(err))
}

// HistoryDropped says why: a limit of size or age, too large to be downloaded, or gone from WhatsApp's media host.
func (a Account) HistoryDropped(why string, parts, bytes int64) {
	a.write(slog.LevelWarn, "parts of the history are not kept", "history_dropped", "why", why, "parts", parts, "bytes", bytes)
}

func (a Account) PeerMessageRecovered(kind string) {
	a.write(slog.LevelInfo, "a peer message was found whose handling had been cut off", "peer_message_recovered", "kind", kind)
}

func (a Account) SendEnded(outcome, reason string) {
	a.write(slog.LevelInfo, "a send has ended otherwise than sent", "send_ended", "outcome", outcome, "reason", reason)
}

// Library writes what whatsmeow warns of: the template alone, since its arguments may be numbers, ids or texts.
func (a Account) Library(level slog.Level, module, template string) {
	a.write(level, "whatsmeow: "+template, "library", "module", module)
}

func (a Account) write(level slog.Level, message, event string, fields ...any) {
	logger.Log(context.Background(), level, message, append([]any{"event", event, "accountId", a.id}, fields...)...)
}

// kindOf names an error by the types it is made of: its words may quote a JID, a path or a password.
func kindOf(err error) string {
	var kinds []string
	for err != nil && len(kinds) < 4 {
		kind := fmt.Sprintf("%T", err)
		if kind != "*fmt.wrapError" && kind != "*fmt.wrapErrors" && kind != "*errors.errorString" {
			kinds = append(kinds, kind)
		}
		err = errors.Unwrap(err)
	}
	if len(kinds) == 0 {
		return "error"
	}
	return strings.Join(kinds, " ")
}
