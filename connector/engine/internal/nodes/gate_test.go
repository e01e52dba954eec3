package nodes

import (
	"strconv"
	"testing"
	"time"
)

func TestTheReaderIsHeldUntilSomethingIsAnswered(t *testing.T) {
	gate := NewGate()
	for number := range holdFrom {
		gate.Admit("message", strconv.Itoa(number))
	}
	admitted := make(chan struct{})
	go func() {
		gate.Admit("message", "one more")
		close(admitted)
	}()
	select {
	case <-admitted:
		t.Fatal("was not held up")
	case <-time.After(stuckFor / 4):
	}
	gate.Answer("message", "0")
	select {
	case <-admitted:
	case <-time.After(stuckFor / 4):
		t.Fatal("is held up although there is room")
	}
}

func TestTheReaderGoesOnWhenTheHandlersDoNot(t *testing.T) {
	gate := NewGate()
	for number := range holdFrom {
		gate.Admit("message", strconv.Itoa(number))
	}
	began := time.Now()
	gate.Admit("message", "what a handler may wait for")
	if waited := time.Since(began); waited < stuckFor || waited > 4*stuckFor {
		t.Errorf("went on after %v", waited)
	}
}

func TestAnAnswerCountsOnce(t *testing.T) {
	gate := NewGate()
	gate.Admit("message", "a")
	gate.Admit("message", "b")
	gate.Answer("message", "a") // a retry receipt
	gate.Answer("message", "a") // and the ack of the same message
	gate.Answer("receipt", "b")
	if gate.count != 1 {
		t.Errorf("%d are taken to be unanswered, want 1", gate.count)
	}
}
