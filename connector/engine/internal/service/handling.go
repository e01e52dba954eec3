package service

import (
	"context"

	"google.golang.org/grpc"

	"threadline/engine/contract"
	"threadline/engine/internal/crash"
)

// NameAccount is the interceptor that has a crash within a call, and within whatever the call starts, name the call's account.
func NameAccount(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (answer any, err error) {
	named, isOfAccount := request.(interface{ GetSession() *contract.Session })
	if !isOfAccount {
		return handle(ctx, request)
	}
	crash.Handling(ctx, named.GetSession().GetAccountId(), func(ctx context.Context) { answer, err = handle(ctx, request) })
	return answer, err
}
