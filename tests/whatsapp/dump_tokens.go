// Dumps whatsmeow's token dictionaries as JSON. tests/whatsapp/generated.py runs it with the engine's pin.
package main

import (
	"encoding/json"
	"log"
	"os"

	"go.mau.fi/whatsmeow/binary/token"
)

func main() {
	tables := map[string]any{"version": token.DictVersion, "single": token.SingleByteTokens, "double": token.DoubleByteTokens}
	if err := json.NewEncoder(os.Stdout).Encode(tables); err != nil {
		log.Fatal(err)
	}
}
