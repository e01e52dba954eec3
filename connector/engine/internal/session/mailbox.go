package session

import "sync"

// mailbox holds what the keeper has to do, in order. Putting something in never waits: the socket's reader does.
type mailbox struct {
	mu    sync.Mutex
	tasks []func()
	come  chan struct{}
}

func newMailbox() *mailbox { return &mailbox{come: make(chan struct{}, 1)} }

func (m *mailbox) put(task func()) {
	m.mu.Lock()
	m.tasks = append(m.tasks, task)
	m.mu.Unlock()
	select {
	case m.come <- struct{}{}:
	default:
	}
}

func (m *mailbox) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	tasks := m.tasks
	m.tasks = nil
	return tasks
}
