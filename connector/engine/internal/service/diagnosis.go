package service

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"threadline/engine/contract"
	"threadline/engine/internal/database"
)

const (
	whatsmeowModule = "go.mau.fi/whatsmeow"
	// How long the store may take to answer a diagnosis.
	storeWithin = 3 * time.Second
)

// whatsmeowVersion is the version that Go recorded in this program; empty in a program without that record.
var whatsmeowVersion = sync.OnceValue(func() string {
	built, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, module := range built.Deps {
		if module.Path == whatsmeowModule {
			return module.Version
		}
	}
	return ""
})

// CheckStore asks the session store for its version. A store that does not answer is a result and no error.
func (s *Service) CheckStore(ctx context.Context, _ *contract.CheckStoreRequest) (*contract.CheckStoreResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	answer := &contract.CheckStoreResponse{Kind: string(s.shared.DB.Kind)}
	state, err := s.shared.DB.Check(ctx)
	if err != nil {
		answer.Result = contract.CheckStoreResponse_UNREACHABLE
		return answer, nil //nolint:nilerr // its words may quote the address
	}
	answer.Version, answer.Result = state.Version, resultOf(state)
	return answer, nil
}

func resultOf(state database.State) contract.CheckStoreResponse_Result {
	if state.ReadOnly {
		return contract.CheckStoreResponse_READ_ONLY
	}
	return contract.CheckStoreResponse_WRITABLE
}
