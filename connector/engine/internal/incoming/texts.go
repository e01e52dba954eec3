package incoming

import (
	"strings"

	"go.mau.fi/whatsmeow/proto/waE2E"

	"threadline/engine/contract"
)

func put(text string, into *contract.MessageReceived) bool {
	if text == "" {
		return false
	}
	into.Content = &contract.MessageReceived_Text{Text: valid(text)}
	return true
}

// lines joins what is not empty, a line each.
func lines(parts ...string) string {
	var said []string
	for _, part := range parts {
		if part != "" {
			said = append(said, part)
		}
	}
	return strings.Join(said, "\n")
}

func conversation(m *waE2E.Message, into *contract.MessageReceived) bool {
	return put(m.GetConversation(), into)
}

func extendedText(m *waE2E.Message, into *contract.MessageReceived) bool {
	return put(m.GetExtendedTextMessage().GetText(), into)
}

func comment(m *waE2E.Message, into *contract.MessageReceived) bool {
	return put(written(m.GetCommentMessage().GetMessage()), into)
}

// What a business's program wrote: its text, without its buttons.

func template(m *waE2E.Message, into *contract.MessageReceived) bool {
	message := m.GetTemplateMessage()
	hydrated := message.GetHydratedTemplate()
	if hydrated == nil {
		hydrated = message.GetHydratedFourRowTemplate()
	}
	if interactive := message.GetInteractiveMessageTemplate(); hydrated == nil && interactive != nil {
		return put(interactiveText(interactive), into) || note(kindHidden, nothing)(m, into)
	}
	text := lines(hydrated.GetHydratedTitleText(), hydrated.GetHydratedContentText(), hydrated.GetHydratedFooterText())
	if text == "" {
		fourRow := message.GetFourRowTemplate()
		text = lines(fourRow.GetContent().GetElementName(), fourRow.GetFooter().GetElementName())
	}
	return put(text, into) || note(kindHidden, nothing)(m, into)
}

func highlyStructured(m *waE2E.Message, into *contract.MessageReceived) bool {
	message := m.GetHighlyStructuredMessage()
	text := message.GetFallbackLg()
	if hydrated := message.GetHydratedHsm().GetHydratedTemplate(); hydrated != nil {
		text = hydrated.GetHydratedContentText()
	}
	return put(lines(text, strings.Join(message.GetParams(), "\n")), into) || note(kindHidden, nothing)(m, into)
}

func interactive(m *waE2E.Message, into *contract.MessageReceived) bool {
	return put(interactiveText(m.GetInteractiveMessage()), into) || note(kindHidden, nothing)(m, into)
}

func interactiveText(message *waE2E.InteractiveMessage) string {
	header := message.GetHeader()
	return lines(header.GetTitle(), header.GetSubtitle(), message.GetBody().GetText(), message.GetFooter().GetText())
}

func buttons(m *waE2E.Message, into *contract.MessageReceived) bool {
	message := m.GetButtonsMessage()
	text := lines(message.GetText(), message.GetContentText(), message.GetFooterText())
	return put(text, into) || note(kindHidden, nothing)(m, into)
}

func list(m *waE2E.Message, into *contract.MessageReceived) bool {
	message := m.GetListMessage()
	text := lines(message.GetTitle(), message.GetDescription(), message.GetFooterText())
	return put(text, into) || note(kindHidden, nothing)(m, into)
}

func richResponse(m *waE2E.Message, into *contract.MessageReceived) bool {
	var said []string
	for _, part := range m.GetRichResponseMessage().GetSubmessages() {
		said = append(said, part.GetMessageText())
	}
	return put(lines(said...), into) || note(kindHidden, nothing)(m, into)
}

// What a person chose among the buttons of such a message.

func templateButtonReply(m *waE2E.Message, into *contract.MessageReceived) bool {
	reply := m.GetTemplateButtonReplyMessage()
	return put(firstOf(reply.GetSelectedDisplayText(), reply.GetSelectedID()), into)
}

func buttonsResponse(m *waE2E.Message, into *contract.MessageReceived) bool {
	response := m.GetButtonsResponseMessage()
	return put(firstOf(response.GetSelectedDisplayText(), response.GetSelectedButtonID()), into)
}

func listResponse(m *waE2E.Message, into *contract.MessageReceived) bool {
	response := m.GetListResponseMessage()
	return put(firstOf(response.GetTitle(), response.GetSingleSelectReply().GetSelectedRowID()), into)
}

func interactiveResponse(m *waE2E.Message, into *contract.MessageReceived) bool {
	response := m.GetInteractiveResponseMessage()
	return put(firstOf(response.GetBody().GetText(), response.GetNativeFlowResponseMessage().GetName()), into) ||
		note(kindHidden, nothing)(m, into)
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
