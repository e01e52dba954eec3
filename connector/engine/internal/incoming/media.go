package incoming

import (
	"go.mau.fi/whatsmeow/proto/waE2E"

	"threadline/engine/contract"
)

// file is what all of WhatsApp's messages with a file have in common.
type file interface {
	GetDirectPath() string
	GetMediaKey() []byte
	GetFileSHA256() []byte
	GetFileEncSHA256() []byte
	GetFileLength() uint64
}

func putMedia(into *contract.MessageReceived, kind contract.Media_Type, from file, media *contract.Media) bool {
	media.Type = kind
	media.Caption, media.MimeType, media.FileName = valid(media.Caption), valid(media.MimeType), valid(media.FileName)
	media.DirectPath, media.MediaKey = valid(from.GetDirectPath()), from.GetMediaKey()
	media.Sha256, media.EncryptedSha256 = from.GetFileSHA256(), from.GetFileEncSHA256()
	media.SizeBytes = from.GetFileLength()
	into.Content = &contract.MessageReceived_Media{Media: media}
	return true
}

func image(m *waE2E.Message, into *contract.MessageReceived) bool {
	of := m.GetImageMessage()
	return putMedia(into, contract.Media_IMAGE, of, &contract.Media{
		Caption: of.GetCaption(), MimeType: of.GetMimetype(), Width: of.GetWidth(), Height: of.GetHeight(), Thumbnail: of.GetJPEGThumbnail(),
	})
}

func video(m *waE2E.Message, into *contract.MessageReceived) bool {
	kind := contract.Media_VIDEO
	if m.GetVideoMessage().GetGifPlayback() {
		kind = contract.Media_GIF
	}
	return putVideo(into, kind, m.GetVideoMessage())
}

func videoNote(m *waE2E.Message, into *contract.MessageReceived) bool {
	return putVideo(into, contract.Media_VIDEO_NOTE, m.GetPtvMessage())
}

func putVideo(into *contract.MessageReceived, kind contract.Media_Type, of *waE2E.VideoMessage) bool {
	return putMedia(into, kind, of, &contract.Media{
		Caption: of.GetCaption(), MimeType: of.GetMimetype(), Seconds: of.GetSeconds(), Width: of.GetWidth(), Height: of.GetHeight(),
		Thumbnail: of.GetJPEGThumbnail(),
	})
}

func audio(m *waE2E.Message, into *contract.MessageReceived) bool {
	of, kind := m.GetAudioMessage(), contract.Media_AUDIO
	if of.GetPTT() {
		kind = contract.Media_VOICE
	}
	return putMedia(into, kind, of, &contract.Media{MimeType: of.GetMimetype(), Seconds: of.GetSeconds(), Waveform: of.GetWaveform()})
}

func document(m *waE2E.Message, into *contract.MessageReceived) bool {
	of := m.GetDocumentMessage()
	return putMedia(into, contract.Media_DOCUMENT, of, &contract.Media{
		Caption: of.GetCaption(), MimeType: of.GetMimetype(), FileName: firstOf(of.GetFileName(), of.GetTitle()), Thumbnail: of.GetJPEGThumbnail(),
	})
}

func sticker(m *waE2E.Message, into *contract.MessageReceived) bool {
	of := m.GetStickerMessage()
	return putMedia(into, contract.Media_STICKER, of, &contract.Media{
		MimeType: of.GetMimetype(), Width: of.GetWidth(), Height: of.GetHeight(), IsAnimated: of.GetIsAnimated() || of.GetIsLottie(),
		Thumbnail: of.GetPngThumbnail(),
	})
}

func stickerPack(m *waE2E.Message, into *contract.MessageReceived) bool {
	of := m.GetStickerPackMessage()
	return putMedia(into, contract.Media_STICKER_PACK, of, &contract.Media{Caption: of.GetCaption(), FileName: of.GetName()})
}
