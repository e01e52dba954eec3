package backlog

import "testing"

// whatsmeow answers a message of the phone (history, keys) from a thread of its own, which may be faster than the handler. Taken for the
// answer of a message that no handler has seen, it would tell of one that could not be decrypted: a gap that nothing closes.
func TestAnAnswerBesideSaysNothingOfAMessageThatIsNotHandledYet(t *testing.T) {
	stanzas := NewStanzas()
	stanzas.Came("A", &Stanza{Offline: true})
	if found := stanzas.Answered("A", true); found != nil {
		t.Fatal("it was taken for unread")
	}
	if stanzas.OfflineLeft() != 1 || stanzas.Handled("A") == nil {
		t.Fatal("the handler does not find it any more")
	}
	if found := stanzas.Answered("A", true); found != nil {
		t.Fatal("a handled one was taken for unread")
	}
	if stanzas.OfflineLeft() != 0 || stanzas.Next("A") != nil {
		t.Fatal("it is not dealt with")
	}
}

func TestAnAnswerThatNoHandlerCameBeforeIsOfAMessageThatWasNotRead(t *testing.T) {
	stanzas := NewStanzas()
	stanzas.Came("A", &Stanza{Offline: true})
	if stanzas.Answered("A", false) == nil || stanzas.OfflineLeft() != 0 {
		t.Fatal("nobody is told of it")
	}
	if stanzas.Answered("A", false) != nil {
		t.Fatal("it is told of twice")
	}
}
