// Package wire is how the clients of the edge send requests: what goes out and what comes
// back. Connections are the business of whoever implements Sender.
package wire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"oncegate/internal/lean/sigv4"
)

// Sender sends one request to an endpoint's host and returns its complete answer within
// limit, or an error. It repeats nothing, and says with ErrStale when a reused connection
// was dead. target is path and query; headers hold Host as well, their names are in lower
// case.
type Sender interface {
	Send(ctx context.Context, limit time.Duration, method, target string, headers []Header, body []byte) (Reply, error)
}

// ErrStale is wrapped by a Sender's error when the request went out on a reused connection
// that turned out to be dead.
var ErrStale = errors.New("reused connection was dead")

// Header is one line of a request's or an answer's header.
type Header = sigv4.Pair

// Reply is an answer to a Send. Of its headers, whose names are in lower case, those are
// read that begin with x-amz-, and etag, content-length, date and last-modified.
type Reply struct {
	Status  int
	Headers []Header
	Body    []byte
}

// Header is the first header of this name.
func (r Reply) Header(name string) string {
	for _, h := range r.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// Endpoint is the host that a Sender sends to.
type Endpoint struct {
	Scheme, Host string // Host with port, if any
}

// ParseEndpoint reads the URL of an endpoint, which has no path.
func ParseEndpoint(url string) (Endpoint, error) {
	scheme, host, ok := strings.Cut(strings.TrimSuffix(url, "/"), "://")
	if !ok || scheme != "http" && scheme != "https" || host == "" || strings.Trim(host, hostCharacters) != "" {
		return Endpoint{}, fmt.Errorf("%q: want http://host[:port] or https://host[:port]", url)
	}
	return Endpoint{scheme, host}, nil
}

// hostCharacters are those of a host name or an address, with a port.
const hostCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]"

// URL is the endpoint without a path.
func (e Endpoint) URL() string { return e.Scheme + "://" + e.Host }
