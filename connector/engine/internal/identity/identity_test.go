package identity

import (
	"context"
	"errors"
	"testing"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

var (
	number = types.NewJID("40722222222", types.DefaultUserServer)
	lid    = types.NewJID("922222222704", types.HiddenUserServer)
	group  = types.NewJID("120363000000000000", types.GroupServer)
)

// known is a mapping that was learnt.
type known struct {
	store.LIDStore
	err error
}

func (k known) GetPNForLID(context.Context, types.JID) (types.JID, error) { return number, k.err }
func (k known) GetLIDForPN(context.Context, types.JID) (types.JID, error) { return lid, k.err }

type nothingKnown struct{ store.LIDStore }

func (nothingKnown) GetPNForLID(context.Context, types.JID) (types.JID, error) {
	return types.JID{}, nil
}
func (nothingKnown) PutLIDMapping(context.Context, types.JID, types.JID) error { return nil }
func (nothingKnown) GetLIDForPN(context.Context, types.JID) (types.JID, error) {
	return types.JID{}, nil
}

// learning keeps the last mapping that it is given.
type learning struct {
	nothingKnown
	lid, number *types.JID
}

func (l learning) PutLIDMapping(_ context.Context, lid, number types.JID) error {
	*l.lid, *l.number = lid, number
	return nil
}

func hosted(jid types.JID, server string) types.JID {
	jid.Server, jid.Device = server, 99
	return jid
}

func TestBothNamesAreGivenWhereverTheyAreKnown(t *testing.T) {
	device := number
	device.Device = 7
	cases := map[string]struct {
		learnt       store.LIDStore
		chat, stated types.JID
		want         Names
	}{
		"the event says it":             {nothingKnown{}, number, lid, Names{number, lid}},
		"the event says it, of a LID":   {nothingKnown{}, lid, number, Names{lid, number}},
		"learnt for a number":           {known{}, number, types.EmptyJID, Names{number, lid}},
		"learnt for a LID":              {known{}, lid, types.EmptyJID, Names{lid, number}},
		"known to nobody":               {nothingKnown{}, lid, types.EmptyJID, Names{Chat: lid}},
		"a device is its person":        {nothingKnown{}, device, lid, Names{number, lid}},
		"a hosted device is its person": {nothingKnown{}, hosted(number, types.HostedServer), hosted(lid, types.HostedLIDServer), Names{number, lid}},
		"a hosted LID":                  {known{}, hosted(lid, types.HostedLIDServer), types.EmptyJID, Names{lid, number}},
		"the same name is no other one": {nothingKnown{}, number, number, Names{Chat: number}},
		"a group has one name":          {known{}, group, number, Names{Chat: group}},
		"a mapping that cannot be read": {known{err: errors.New("locked")}, lid, types.EmptyJID, Names{Chat: lid}},
		"nothing to ask":                {nil, lid, types.EmptyJID, Names{Chat: lid}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Of(context.Background(), c.learnt, c.chat, c.stated); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestTheNamesOfAHostedDeviceAreLearnt(t *testing.T) {
	for _, named := range [][2]types.JID{
		{lid, hosted(number, types.HostedServer)},
		{number, hosted(lid, types.HostedLIDServer)},
		{hosted(number, types.HostedServer), lid},
		{hosted(lid, types.HostedLIDServer), hosted(number, types.HostedServer)},
	} {
		var gotLID, gotNumber types.JID
		Of(context.Background(), learning{lid: &gotLID, number: &gotNumber}, named[0], named[1])
		if gotLID != lid || gotNumber != number {
			t.Errorf("%v: got %v and %v, want %v and %v", named, gotLID, gotNumber, lid, number)
		}
	}
}

func TestAnUnknownNameIsEmptyInTheContract(t *testing.T) {
	if got := (Names{Chat: lid}).OtherJID(); got != "" {
		t.Errorf("got %q", got)
	}
}
