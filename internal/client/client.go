// Package client is the HTTP client of a deployment: it asks for URLs and uploads
// with them, and says after every failure what became of the URL.
//
// A PUT is sent once. net/http repeats a request by itself if a kept connection turns
// out to be dead or an HTTP/2 stream is refused. So every request here has its own
// connection, over HTTP/1.1, and no redirect is followed. A PUT is sent again only after
// 503 index-unavailable, which promises that nothing was spent. The requests of an upload in
// parts may all be repeated, and are.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/onetime"
)

// Deployment is a distribution, by its URL.
type Deployment struct {
	base       string // scheme://host
	credential Credential
	conn       *http.Transport
}

// New returns the client of the deployment at a URL of scheme and host. Spaces around
// the URL are dropped. A credential is not sent over plain http, except to this
// machine.
func New(rawURL string, credential Credential) (*Deployment, error) {
	rawURL = strings.TrimSpace(rawURL)
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("distribution URL %s: allowed is http:// or https:// and a host, nothing after it", shownBase(rawURL))
	}
	if name, _ := credential.Header(); name != "" && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, errors.New("the distribution URL is plain http: a key or token would be readable on the way, use https://")
	}
	return &Deployment{u.Scheme + "://" + strings.ToLower(u.Host), credential, transport()}, nil
}

// URL returns the deployment's URL in its one spelling: scheme, host in lower case,
// nothing after it.
func (d *Deployment) URL() string { return d.base }

// shownBase quotes what was given for a distribution's URL. It leaves out what could
// be a secret: a query, which a one-time URL has, and a user with a password.
func shownBase(raw string) string {
	if strings.Contains(raw, "@") {
		return "with a user in it"
	}
	shown, _, cut := strings.Cut(raw, "?")
	shown = fmt.Sprintf("%.100q", shown)
	if cut {
		shown += " with a query"
	}
	return shown
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// noContinue is how long the body waits for 100 Continue: longer than a cold gate
// takes, so that a refusal usually comes before the body.
const noContinue = 3 * time.Second

func transport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   15 * time.Second,
		ExpectContinueTimeout: noContinue,
		ResponseHeaderTimeout: 2 * time.Minute, // from the end of the body on
		DisableKeepAlives:     true,
		DisableCompression:    true,
		Protocols:             protocols,
	}
}

// Minted is an answer from /url.
type Minted struct {
	URLs []URL
	JSON []byte // as the deployment sent it
	// At is when the answer arrived; Date is what the deployment's clock said, or zero.
	Date, At time.Time
}

// answerBytes is how much of an answer is read at most; mint may send 40 KB.
const answerBytes = 1 << 20

// mintLimit is how long one GET /url may take.
const mintLimit = time.Minute

// Mint asks for URLs. options are sent to /url as they are; the deployment checks them.
// The error is a *Refusal if the deployment refused. Every URL belongs to this
// deployment, so no file can be sent to another host.
func (d *Deployment) Mint(ctx context.Context, options url.Values) (Minted, error) {
	var m Minted
	err := again(ctx, func() (err error) { m, err = d.mint(ctx, options); return err })
	return m, err
}

func (d *Deployment) mint(ctx context.Context, options url.Values) (Minted, error) {
	ctx, cancel := context.WithTimeout(ctx, mintLimit)
	defer cancel()
	target := d.base + "/url"
	if len(options) > 0 {
		target += "?" + options.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return Minted{}, err
	}
	common(request)
	if name, value := d.credential.Header(); name != "" {
		request.Header.Set(name, value)
	}
	response, err := d.conn.RoundTrip(request)
	if err != nil {
		return Minted{}, fmt.Errorf("%s gave no answer: %w", d.base, Plain(err))
	}
	defer response.Body.Close()
	m := Minted{At: time.Now()}
	if m.JSON, err = io.ReadAll(io.LimitReader(response.Body, answerBytes)); err != nil {
		return Minted{}, fmt.Errorf("%s did not finish its answer: %w", d.base, Plain(err))
	}
	if response.StatusCode != http.StatusOK {
		return Minted{}, refusalOf(response, m.JSON)
	}
	m.Date, _ = http.ParseTime(response.Header.Get("Date")) // zero if it cannot be read
	m.URLs, err = d.Minted(m.JSON)
	return m, err
}

// Minted reads the URLs in the JSON of an answer. All are URLs of this deployment, and
// nothing else: each has one spelling, of printable ASCII.
func (d *Deployment) Minted(text []byte) ([]URL, error) {
	type one struct {
		URL       string            `json:"url"`
		Headers   map[string]string `json:"headers"`
		ID        onetime.ID        `json:"id"`
		ExpiresAt time.Time         `json:"expiresAt"`
	}
	var all struct {
		one
		URLs []one `json:"urls"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s/url answered 200, but not with JSON of oncegate: is this a deployment of oncegate?", d.base)
	}
	if all.URL != "" {
		all.URLs = append(all.URLs, all.one)
	}
	var urls []URL
	for _, o := range all.URLs {
		u, err := ParseURL(o.URL)
		if err != nil || u.URL != o.URL || !ascii(o.URL) || !strings.HasPrefix(o.URL, d.base+"/") || u.ID != o.ID {
			return nil, fmt.Errorf("%s answered with a URL that is not one of its own", d.base)
		}
		u.Expires, u.Header = o.ExpiresAt, o.Headers
		urls = append(urls, u)
	}
	if len(urls) == 0 {
		return nil, fmt.Errorf("%s/url answered 200 without a URL: is this a deployment of oncegate?", d.base)
	}
	return urls, nil
}

// ascii reports whether s has printable ASCII only, as a URL does.
func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// common sets the headers that every request has. Some web ACLs refuse requests without
// User-Agent.
func common(request *http.Request) {
	request.Header.Set("User-Agent", "oncegate")
	request.Header.Set("Accept", "application/json")
}

// tries is how often a request is sent, if each refusal promises that the same request
// may succeed.
const tries = 3

func again(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok || !refusal.again() || try == tries {
			return err
		}
		if Sleep(ctx, refusal.after) != nil {
			return err
		}
	}
}

// Sleep waits, or returns early with the context's error.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// seconds reads a Retry-After header: 1 to 10 seconds, whatever it says.
func seconds(s string) time.Duration {
	n, _ := strconv.Atoi(s)
	return time.Duration(min(max(n, 1), 10)) * time.Second
}
