// Package client uploads files of any size with one-time URLs of oncegate.
//
//	deployment, err := client.New("https://dXXXX.cloudfront.net", client.Credential{})
//	url, err := deployment.Mint(ctx, client.Options{"maxBytes": "2000000000"})
//	stored, err := client.UploadFile(ctx, url, "film.mov", client.Upload{})
//
// A file over 8 MiB goes in parts: what breaks off is sent again, and nothing is lost. The same call
// with the same URL and file goes on with the parts that are there, also in another process or on
// another machine. A smaller file is one PUT, which is sent again only if nothing was spent by it.
//
// Every error of a request is an *Error, which says what became of the URL. No error repeats a URL,
// a key or a token.
//
// # Importing it
//
// The module's path is oncegate, without a host, so no proxy has it. Clone the repository and say where
// it is:
//
//	go mod edit -require=oncegate@v0.0.0 -replace=oncegate=../oncegate
//	go mod tidy
//
// # Stability
//
// What this package exports stays as it is until the next breaking version, and a change is in the
// changelog. Nothing below internal/ is promised.
package client

import (
	"context"
	"errors"
	"net/url"
	"time"

	"oncegate/internal/client"
	"oncegate/internal/onetime"
)

// Deployment is one deployment of oncegate. It can be used by several goroutines at once.
type Deployment struct{ inner *client.Deployment }

// Credential is what a deployment with auth asks for before it makes a URL. The zero value is none.
// Printing one shows nothing of it.
type Credential struct{ inner client.Credential }

// String implements fmt.Stringer and hides the credential.
func (c Credential) String() string { return c.inner.String() }

// GoString hides the credential from %#v.
func (c Credential) GoString() string { return c.inner.GoString() }

// Key returns the credential for an API key. A typo in it is an error.
func Key(text string) (Credential, error) {
	inner, err := client.Key(text)
	return Credential{inner}, err
}

// Token returns the credential for a bearer token: a JWT, or the secret of an invitation.
func Token(text string) (Credential, error) {
	inner, err := client.Token(text)
	return Credential{inner}, err
}

// New returns the deployment at a URL of scheme and host, such as https://dXXXX.cloudfront.net. No
// credential is sent over plain http, but to this machine.
func New(rawURL string, credential Credential) (*Deployment, error) {
	inner, err := client.New(rawURL, credential.inner)
	if err != nil {
		return nil, err
	}
	return &Deployment{inner}, nil
}

// Options are those of a URL, by the names of docs/api.md: expires, maxBytes, type … The deployment
// checks them.
type Options map[string]string

// URL is a one-time URL.
type URL struct {
	URL     string
	ID      string            // names the URL without giving it away
	Key     string            // of the object that it uploads
	Expires time.Time         // the first moment at which it is no longer good; zero if not known
	Header  map[string]string // what to send with the upload
}

// String implements fmt.Stringer. It does not show the URL, which is a secret until it is spent.
func (u URL) String() string { return u.Key }

// GoString hides the URL from %#v.
func (u URL) GoString() string { return u.String() }

// Mint asks for one URL.
func (d *Deployment) Mint(ctx context.Context, options Options) (URL, error) {
	values := url.Values{}
	for name, value := range options {
		values.Set(name, value)
	}
	minted, err := d.inner.Mint(ctx, values)
	if err != nil {
		return URL{}, failed(err)
	}
	if len(minted.URLs) != 1 {
		return URL{}, errors.New("more than one URL was asked for")
	}
	return shown(minted.URLs[0]), nil
}

// ParseURL reads a URL that was handed on. An altered one is an error that says what was probably
// altered.
func ParseURL(raw string) (URL, error) {
	u, err := client.ParseURL(raw)
	if err != nil {
		return URL{}, err
	}
	return shown(u), nil
}

func shown(u client.URL) URL { return URL{u.URL, string(u.ID), u.Key, u.Expires, u.Header} }

func (u URL) inner() client.URL {
	return client.URL{URL: u.URL, ID: onetime.ID(u.ID), Key: u.Key, Expires: u.Expires, Header: u.Header}
}

// GiveUp drops the parts of an upload and revokes its URL.
func GiveUp(ctx context.Context, u URL) error { return failed(client.GiveUp(ctx, u.inner())) }

// Fate is what became of a URL.
type Fate string

// Every fate.
const (
	Good    = Fate(client.Good)    // nothing was spent, the URL can be used
	Spent   = Fate(client.Spent)   // it is spent, and nothing is stored
	Broken  = Fate(client.Broken)  // it may be spent; nothing is stored
	Unknown = Fate(client.Unknown) // it may be spent, and the file stored
	Useless = Fate(client.Useless) // it was no good before: used, revoked, expired or never minted
)

// Error is a request that failed.
type Error struct {
	// Reason is that of the refusal (docs/api.md, Refusals), or "connection" or "file" (it changed or went
	// away), or "" if somebody else than oncegate answered.
	Reason string
	Status int // of the answer; 0 if there was none
	Fate   Fate
	err    error
}

// Error implements error. It is one sentence, safe to show.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the cause, such as the error of the context.
func (e *Error) Unwrap() error { return e.err }

// ErrAltered means that S3 has stored other bytes than were sent.
var ErrAltered = client.ErrAltered

// failed makes the error of this package of one of the inner client.
func failed(err error) error {
	if err == nil || errors.Is(err, ErrAltered) {
		return err
	}
	e := &Error{Reason: "connection", Fate: Fate(client.FateOf(err)), err: err}
	if refusal, ok := errors.AsType[*client.Refusal](err); ok {
		e.Reason, e.Status = string(refusal.Reason), refusal.Status
	}
	return e
}
