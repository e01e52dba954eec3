package incoming

import (
	"go.mau.fi/whatsmeow/proto/waE2E"

	"threadline/engine/contract"
)

func place(m *waE2E.Message, into *contract.MessageReceived) bool {
	of := m.GetLocationMessage()
	into.Content = &contract.MessageReceived_Location{Location: &contract.Location{
		Latitude: of.GetDegreesLatitude(), Longitude: of.GetDegreesLongitude(),
		Name: valid(of.GetName()), Address: valid(of.GetAddress()), Caption: valid(of.GetComment()), IsLive: of.GetIsLive(),
	}}
	return true
}

func livePlace(m *waE2E.Message, into *contract.MessageReceived) bool {
	of := m.GetLiveLocationMessage()
	into.Content = &contract.MessageReceived_Location{Location: &contract.Location{
		Latitude: of.GetDegreesLatitude(), Longitude: of.GetDegreesLongitude(), Caption: valid(of.GetCaption()), IsLive: true,
	}}
	return true
}

func contact(m *waE2E.Message, into *contract.MessageReceived) bool {
	return putContacts(into, m.GetContactMessage())
}

func contacts(m *waE2E.Message, into *contract.MessageReceived) bool {
	return putContacts(into, m.GetContactsArrayMessage().GetContacts()...)
}

func putContacts(into *contract.MessageReceived, all ...*waE2E.ContactMessage) bool {
	cards := make([]*contract.Contacts_Card, 0, len(all))
	for _, one := range all {
		cards = append(cards, &contract.Contacts_Card{Name: valid(one.GetDisplayName()), Vcard: valid(one.GetVcard())})
	}
	into.Content = &contract.MessageReceived_Contacts{Contacts: &contract.Contacts{Cards: cards}}
	return true
}

func pollOf(field func(*waE2E.Message) *waE2E.PollCreationMessage) reader {
	return func(m *waE2E.Message, into *contract.MessageReceived) bool {
		asked := field(m)
		poll := &contract.Poll{Question: valid(asked.GetName()), Selectable: asked.GetSelectableOptionsCount()}
		for _, option := range asked.GetOptions() {
			poll.Options = append(poll.Options, valid(option.GetOptionName()))
		}
		into.Content = &contract.MessageReceived_Poll{Poll: poll}
		return true
	}
}

func pollResult(field func(*waE2E.Message) *waE2E.PollResultSnapshotMessage) reader {
	return func(m *waE2E.Message, into *contract.MessageReceived) bool {
		poll := &contract.Poll{Question: valid(field(m).GetName())}
		for _, vote := range field(m).GetPollVotes() {
			poll.Options = append(poll.Options, valid(vote.GetOptionName()))
		}
		into.Content = &contract.MessageReceived_Poll{Poll: poll}
		return true
	}
}
