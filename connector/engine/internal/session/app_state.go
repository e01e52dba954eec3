package session

import (
	"context"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"google.golang.org/protobuf/proto"
)

// saveAppStateKeys makes the keys durable that the phone gives to a device once, when it has linked it. whatsmeow stores them on a thread
// of its own, after the message counts as handled.
func saveAppStateKeys(ctx context.Context, device *store.Device, share *waE2E.AppStateSyncKeyShare) error {
	for _, key := range share.GetKeys() {
		if len(key.GetKeyData().GetKeyData()) == 0 {
			continue // the phone's answer to a question for a key that it does not have
		}
		fingerprint, err := proto.Marshal(key.GetKeyData().GetFingerprint())
		if err != nil {
			continue // it came decoded from the wire
		}
		saved := store.AppStateSyncKey{
			Data: key.GetKeyData().GetKeyData(), Fingerprint: fingerprint, Timestamp: key.GetKeyData().GetTimestamp(),
		}
		if err := device.AppStateKeys.PutAppStateSyncKey(ctx, key.GetKeyID().GetKeyID(), saved); err != nil {
			return err
		}
	}
	return nil
}

// fetchOwnName asks for the settings that hold the account's name, where an earlier process was killed before it had them.
func (s *Session) fetchOwnName(client *whatsmeow.Client) {
	if client.Store.PushName != "" {
		return
	}
	go func() {
		if key, err := client.Store.AppStateKeys.GetLatestAppStateSyncKeyID(s.ctx); err != nil || key == nil {
			return // the phone has not given it yet
		}
		if err := client.FetchAppState(s.ctx, appstate.WAPatchCriticalBlock, false, true); err != nil && s.ctx.Err() == nil {
			s.log.NotAnnounced(err)
		}
	}()
}
