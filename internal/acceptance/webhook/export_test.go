package webhook

import (
	"context"
	"net"
	"net/http"
)

// DialBy has posts connect by dial until undo is called. All else of the client stays.
func DialBy(dial func(context.Context, string, string) (net.Conn, error)) (undo func()) {
	before := client.Transport
	t := before.(*http.Transport).Clone()
	t.DialContext = dial
	client.Transport = t
	return func() {
		t.CloseIdleConnections()
		client.Transport = before
	}
}
