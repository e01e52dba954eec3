package session

import (
	"go.mau.fi/whatsmeow/store"

	"threadline/engine/contract"
)

// linkedDevice is what may be shown of a link.
func linkedDevice(device *store.Device) *contract.LinkedDevice {
	return &contract.LinkedDevice{Number: uint32(device.GetJID().Device), Platform: device.Platform}
}
