package wanet

import (
	"context"
	"net"

	"threadline/engine/internal/failpoint"
	"threadline/engine/internal/term"
)

// connection carries nothing to WhatsApp from the end of a session's term on. It stands below TLS, where bytes leave the process.
type connection struct {
	net.Conn
	held *term.Term
	stop func() bool
}

func fenced(session context.Context, dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		opened, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		// What is being written while the session ends is not waited for.
		stop := context.AfterFunc(session, func() { _ = opened.Close() })
		return &connection{Conn: opened, held: term.Of(session), stop: stop}, nil
	}
}

func (c *connection) Write(bytes []byte) (int, error) {
	failpoint.Pass(failpoint.FrameWrite)
	if err := c.held.Err(); err != nil {
		_ = c.Conn.Close()
		return 0, err
	}
	return c.Conn.Write(bytes)
}

func (c *connection) Close() error {
	c.stop()
	return c.Conn.Close()
}
