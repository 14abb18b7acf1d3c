package client

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"oncegate/internal/onetime"
)

// URL is a one-time URL.
type URL struct {
	URL     string
	ID      onetime.ID
	Key     string            // of the object that it uploads
	Expires time.Time         // the first moment at which it is no longer good; zero if not known
	Header  map[string]string // what to send with the upload
}

// ParseURL reads a URL that a deployment made. Spaces around it are dropped. It is as
// strict as the gate: an altered URL would be refused there, and here nothing was sent
// yet. No error of it repeats the URL.
func ParseURL(raw string) (URL, error) {
	raw = strings.TrimSpace(raw)
	_, minted, err := parse(raw)
	if err != nil {
		return URL{}, err
	}
	return URL{URL: raw, ID: minted.ID, Key: minted.Key}, nil
}

func parse(raw string) (*url.URL, onetime.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || u.RawQuery == "" {
		err = errors.New("want http:// or https://, a host, a path and a query")
	}
	var minted onetime.URL
	if err == nil {
		if minted, err = onetime.ParseURL(u.EscapedPath(), u.RawQuery, region(u.Query())); err != nil {
			err = errors.Unwrap(err) // what is wrong, without the reason for the log
		}
	}
	if err != nil {
		return nil, onetime.URL{}, fmt.Errorf("not a URL as oncegate makes it: %s", explain(raw, err))
	}
	return u, minted, nil
}

// region is that of the credential scope, key/date/region/s3/aws4_request. Which one it
// is does not matter here; the gate knows its own.
func region(query url.Values) string {
	if scope := strings.Split(query.Get("X-Amz-Credential"), "/"); len(scope) == 5 {
		return scope[2]
	}
	return ""
}

// explain adds to err how the URL was probably altered.
func explain(raw string, err error) string {
	if how := Altered(raw); how != "" {
		return how
	}
	return err.Error() + "; copy it again"
}

// Altered says how a one-time URL that is not as it was minted was probably altered on
// the way, and what to do, or "" where nothing points to it.
func Altered(raw string) string {
	raw = strings.TrimSpace(raw)
	_, query, _ := strings.Cut(raw, "?")
	how := ""
	switch {
	case !strings.Contains(raw, "uploads"):
		return ""
	case strings.ContainsFunc(raw, unicode.IsSpace):
		how = "there is a space or a line break in it"
	case strings.Contains(raw, "&amp;"):
		how = "its & were written &amp; as in HTML"
	case strings.Contains(raw, "%3F") || strings.Contains(raw, "%26") || strings.Contains(raw, "%252F"):
		how = "it was percent-encoded once more"
	case !shaped(query):
		how = "it was cut short (quote it: a shell takes & and ? for its own)"
	default:
		return ""
	}
	return how + ": copy it again"
}

// shaped reports whether a query ends as mint's do, in a whole signature.
func shaped(query string) bool {
	_, signature, ok := strings.Cut(query, "X-Amz-Signature=")
	return ok && len(signature) >= 64
}
