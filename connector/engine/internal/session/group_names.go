package session

import (
	"context"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

const (
	// WhatsApp refuses clients that ask for many groups at once (429; see https://github.com/tulir/whatsmeow/issues, "GetGroupInfo 429").
	groupQueryEvery  = 2 * time.Second
	groupQueryWithin = 3 * time.Second
	// A name that could not be had is asked for again with a message that comes so much later.
	groupQueryAgain = 10 * time.Minute
)

// groupNames remembers the names of an account's groups while the account is open. A name that is not known in time is left out: the
// next message brings it.
type groupNames struct {
	ctx context.Context

	mu        sync.Mutex
	names     map[types.JID]string
	asked     map[types.JID]time.Time // when the name was asked for in vain
	nextQuery time.Time
}

func newGroupNames(ctx context.Context) *groupNames {
	return &groupNames{ctx: ctx, names: map[types.JID]string{}, asked: map[types.JID]time.Time{}}
}

// of gives a group's name; empty where it is not known. It may wait for WhatsApp's answer.
func (g *groupNames) of(client *whatsmeow.Client, group types.JID) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if name, known := g.names[group]; known {
		return name
	}
	now := time.Now()
	if now.Before(g.nextQuery) || now.Sub(g.asked[group]) < groupQueryAgain || !client.IsConnected() {
		return ""
	}
	g.nextQuery = now.Add(groupQueryEvery)
	ctx, cancel := context.WithTimeout(g.ctx, groupQueryWithin)
	defer cancel()
	info, err := client.GetGroupInfo(ctx, group)
	if err != nil {
		g.asked[group] = now
		return ""
	}
	g.names[group] = info.Name
	return info.Name
}

// heard takes a name from what WhatsApp tells of a group.
func (g *groupNames) heard(event any) {
	switch event := event.(type) {
	case *events.JoinedGroup:
		g.learn(event.JID, event.Name)
	case *events.GroupInfo:
		if event.Name != nil {
			g.learn(event.JID, event.Name.Name)
		}
	}
}

func (g *groupNames) learn(group types.JID, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.names[group.ToNonAD()] = name
}
