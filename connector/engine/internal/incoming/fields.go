package incoming

import (
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/reflect/protoreflect"

	"threadline/engine/contract"
)

// Field says what becomes of one field of WhatsApp's message. Exactly one of Shown, IsWrapper and Dropped is set.
type Field struct {
	// Shown is the kind of the message that an employee sees, as whatsapp_messages has it. A text field that is empty is dropped.
	Shown string
	// IsWrapper says that the field holds another message, which is looked at in its place.
	IsWrapper bool
	// Dropped says why nobody sees it.
	Dropped string

	read reader
}

// reader puts the content of a field that is shown into the event. It says whether there was any: an empty text is nothing to show.
type reader func(message *waE2E.Message, into *contract.MessageReceived) bool

const (
	becauseKeys      = "keys and settings of the protocol, for programs"
	becauseAccompany = "it accompanies content and is none"
	becauseStatus    = "it belongs to status updates, which are not shown"
	becauseNewsfeed  = "it belongs to channels, which are not shown"
	becauseBot       = "it belongs to WhatsApp's assistants, which are not shown"
	becauseDevices   = "a person's own devices say it to each other"
	becauseVote      = "it changes a poll or an event, and the message that it changes is shown"
	becauseMark      = "it marks a message, which is shown as it is"
)

// Fields names every field of waE2E.Message at the version of whatsmeow that go.mod pins. A message with a field that is not named here
// is shown as "Unsupported message". TestEveryFieldOfTheProtocolIsNamed fails when a newer whatsmeow brings a field.
var Fields map[protoreflect.Name]Field

func init() { // not where Fields is declared: a message may hold a message, so its readers read Fields
	Fields = map[protoreflect.Name]Field{
		"conversation":        {Shown: kindText, read: conversation},
		"extendedTextMessage": {Shown: kindText, read: extendedText},
		"commentMessage":      {Shown: kindText, read: comment},

		"imageMessage":       {Shown: kindImage, read: image},
		"videoMessage":       {Shown: kindVideo, read: video},
		"ptvMessage":         {Shown: kindVideoNote, read: videoNote},
		"audioMessage":       {Shown: kindAudio, read: audio},
		"documentMessage":    {Shown: kindDocument, read: document},
		"stickerMessage":     {Shown: kindSticker, read: sticker},
		"stickerPackMessage": {Shown: kindStickerPack, read: stickerPack},
		"musicMessage":       {Shown: kindMusic, read: note(kindMusic, nothing)},
		"albumMessage":       {Dropped: "it announces the pictures of an album, and each picture is shown"},

		"locationMessage":      {Shown: kindLocation, read: place},
		"liveLocationMessage":  {Shown: kindLocation, read: livePlace},
		"contactMessage":       {Shown: kindContacts, read: contact},
		"contactsArrayMessage": {Shown: kindContacts, read: contacts},

		"pollCreationMessage":         {Shown: kindPoll, read: pollOf((*waE2E.Message).GetPollCreationMessage)},
		"pollCreationMessageV2":       {Shown: kindPoll, read: pollOf((*waE2E.Message).GetPollCreationMessageV2)},
		"pollCreationMessageV3":       {Shown: kindPoll, read: pollOf((*waE2E.Message).GetPollCreationMessageV3)},
		"pollCreationMessageV5":       {Shown: kindPoll, read: pollOf((*waE2E.Message).GetPollCreationMessageV5)},
		"pollCreationMessageV6":       {Shown: kindPoll, read: pollOf((*waE2E.Message).GetPollCreationMessageV6)},
		"pollResultSnapshotMessage":   {Shown: kindPoll, read: pollResult((*waE2E.Message).GetPollResultSnapshotMessage)},
		"pollResultSnapshotMessageV3": {Shown: kindPoll, read: pollResult((*waE2E.Message).GetPollResultSnapshotMessageV3)},
		"pollUpdateMessage":           {Dropped: becauseVote},
		"pollAddOptionMessage":        {Dropped: becauseVote},

		"eventMessage":                 {Shown: kindEvent, read: note(kindEvent, func(m *waE2E.Message) string { return m.GetEventMessage().GetName() })},
		"eventInviteMessage":           {Shown: kindEvent, read: note(kindEvent, func(m *waE2E.Message) string { return m.GetEventInviteMessage().GetEventTitle() })},
		"encEventResponseMessage":      {Dropped: becauseVote},
		"scheduledCallCreationMessage": {Shown: kindEvent, read: note(kindEvent, func(m *waE2E.Message) string { return m.GetScheduledCallCreationMessage().GetTitle() })},
		"scheduledCallEditMessage":     {Dropped: becauseVote},

		"templateMessage":            {Shown: kindText, read: template},
		"highlyStructuredMessage":    {Shown: kindText, read: highlyStructured},
		"interactiveMessage":         {Shown: kindText, read: interactive},
		"buttonsMessage":             {Shown: kindText, read: buttons},
		"listMessage":                {Shown: kindText, read: list},
		"templateButtonReplyMessage": {Shown: kindText, read: templateButtonReply},
		"buttonsResponseMessage":     {Shown: kindText, read: buttonsResponse},
		"listResponseMessage":        {Shown: kindText, read: listResponse},
		"interactiveResponseMessage": {Shown: kindText, read: interactiveResponse},
		"richResponseMessage":        {Shown: kindText, read: richResponse},

		"groupInviteMessage":                {Shown: kindGroupInvite, read: note(kindGroupInvite, func(m *waE2E.Message) string { return m.GetGroupInviteMessage().GetGroupName() })},
		"newsletterAdminInviteMessage":      {Shown: kindChannelInvite, read: note(kindChannelInvite, func(m *waE2E.Message) string { return m.GetNewsletterAdminInviteMessage().GetNewsletterName() })},
		"newsletterFollowerInviteMessageV2": {Shown: kindChannelInvite, read: note(kindChannelInvite, func(m *waE2E.Message) string { return m.GetNewsletterFollowerInviteMessageV2().GetNewsletterName() })},
		"requestPhoneNumberMessage":         {Shown: kindPhoneNumberRequest, read: note(kindPhoneNumberRequest, nothing)},
		"productMessage": {Shown: kindProduct, read: note(kindProduct, func(m *waE2E.Message) string {
			return lines(m.GetProductMessage().GetProduct().GetTitle(), m.GetProductMessage().GetBody())
		})},
		"orderMessage": {Shown: kindOrder, read: note(kindOrder, func(m *waE2E.Message) string {
			return lines(m.GetOrderMessage().GetOrderTitle(), m.GetOrderMessage().GetMessage())
		})},
		"invoiceMessage":               {Shown: kindPayment, read: note(kindPayment, func(m *waE2E.Message) string { return m.GetInvoiceMessage().GetNote() })},
		"sendPaymentMessage":           {Shown: kindPayment, read: note(kindPayment, func(m *waE2E.Message) string { return written(m.GetSendPaymentMessage().GetNoteMessage()) })},
		"requestPaymentMessage":        {Shown: kindPayment, read: note(kindPayment, func(m *waE2E.Message) string { return written(m.GetRequestPaymentMessage().GetNoteMessage()) })},
		"declinePaymentRequestMessage": {Shown: kindPayment, read: note(kindPayment, nothing)},
		"cancelPaymentRequestMessage":  {Shown: kindPayment, read: note(kindPayment, nothing)},
		"paymentInviteMessage":         {Shown: kindPayment, read: note(kindPayment, nothing)},
		"paymentReminderMessage":       {Shown: kindPayment, read: note(kindPayment, nothing)},
		"splitPaymentMessage":          {Shown: kindPayment, read: note(kindPayment, nothing)},
		"splitPaymentUpdateMessage":    {Shown: kindPayment, read: note(kindPayment, nothing)},
		"call":                         {Shown: kindCall, read: note(kindCall, nothing)},
		"callLogMesssage":              {Shown: kindCall, read: note(kindCall, nothing)},
		"bcallMessage":                 {Shown: kindCall, read: note(kindCall, nothing)},
		"placeholderMessage":           {Shown: kindHidden, read: note(kindHidden, nothing)},
		"conditionalRevealMessage":     {Shown: kindHidden, read: note(kindHidden, nothing)},

		// About another message: shown as a line of its own until it changes that message.
		"protocolMessage":        {Shown: kindEdit, read: protocolMessage},
		"secretEncryptedMessage": {Shown: kindEdit, read: secretEncrypted},
		"reactionMessage":        {Shown: kindReaction, read: reaction},
		"encReactionMessage":     {Shown: kindReaction, read: note(kindReaction, nothing)},
		"encCommentMessage":      {Dropped: "it is an encrypted comment in a channel's group, which is not shown"},
		"pinInChatMessage":       {Dropped: becauseMark},
		"keepInChatMessage":      {Dropped: becauseMark},

		"deviceSentMessage":              {IsWrapper: true},
		"ephemeralMessage":               {IsWrapper: true},
		"documentWithCaptionMessage":     {IsWrapper: true},
		"editedMessage":                  {IsWrapper: true},
		"botInvokeMessage":               {IsWrapper: true},
		"lottieStickerMessage":           {IsWrapper: true},
		"audioStickerMessage":            {IsWrapper: true},
		"groupMentionedMessage":          {IsWrapper: true},
		"eventCoverImage":                {IsWrapper: true},
		"associatedChildMessage":         {IsWrapper: true},
		"pollCreationMessageV4":          {IsWrapper: true},
		"pollCreationOptionImageMessage": {IsWrapper: true},
		"groupStatusMessage":             {IsWrapper: true},
		"groupStatusMessageV2":           {IsWrapper: true},
		"botForwardedMessage":            {IsWrapper: true},
		"questionMessage":                {IsWrapper: true},
		"questionReplyMessage":           {IsWrapper: true},
		"spoilerMessage":                 {IsWrapper: true},
		"limitSharingMessage":            {IsWrapper: true},
		"botTaskMessage":                 {IsWrapper: true},
		"viewOnceMessage":                {Shown: kindViewOnce, read: note(kindViewOnce, nothing)},
		"viewOnceMessageV2":              {Shown: kindViewOnce, read: note(kindViewOnce, nothing)},
		"viewOnceMessageV2Extension":     {Shown: kindViewOnce, read: note(kindViewOnce, nothing)},

		"messageContextInfo":                         {Dropped: becauseAccompany},
		"senderKeyDistributionMessage":               {Dropped: becauseAccompany},
		"fastRatchetKeySenderKeyDistributionMessage": {Dropped: becauseAccompany},
		"statusLinkPreviewMetadata":                  {Dropped: becauseAccompany},
		"chat":                                       {Dropped: becauseKeys},
		"groupRootKeyShare":                          {Dropped: becauseKeys},
		"rootSecretDistributeMessage":                {Dropped: becauseKeys},
		"acp2SettingMessage":                         {Dropped: becauseKeys},
		"stickerSyncRmrMessage":                      {Dropped: becauseDevices},
		"messageHistoryBundle":                       {Dropped: "it carries a group's older messages to a new member"},
		"messageHistoryNotice":                       {Dropped: "it says that a new member was given a group's older messages"},
		"statusMentionMessage":                       {Dropped: becauseStatus},
		"groupStatusMentionMessage":                  {Dropped: becauseStatus},
		"statusAddYours":                             {Dropped: becauseStatus},
		"statusNotificationMessage":                  {Dropped: becauseStatus},
		"statusQuestionAnswerMessage":                {Dropped: becauseStatus},
		"statusQuotedMessage":                        {Dropped: becauseStatus},
		"statusStickerInteractionMessage":            {Dropped: becauseStatus},
		"questionResponseMessage":                    {Dropped: becauseNewsfeed},
		"newsletterAdminProfileMessage":              {Dropped: becauseNewsfeed},
		"newsletterAdminProfileStatusMessage":        {Dropped: becauseNewsfeed},
		"newsletterScheduledMessage":                 {Dropped: becauseNewsfeed},
		"botPlatformRegistrationSuccessMessage":      {Dropped: becauseBot},
	}
}
