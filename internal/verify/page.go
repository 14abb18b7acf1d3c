package verify

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pageFiles are the page's own files in its HTML: the path, and the digest in it.
var pageFiles = regexp.MustCompile(`"(/upload/\w+-([0-9a-f]{16})\.(?:js|css))"`)

// page: what people get at /upload comes through CloudFront as the function has made it.
func (r *run) page(ctx context.Context) error {
	compressed := func(target string) request {
		return request{what: "GET " + target, method: "GET", target: target, headers: []header{{"Accept-Encoding", "gzip"}}}
	}
	a, err := r.do(ctx, compressed("/upload"))
	if err != nil {
		return err
	}
	on := a.reason() == ""
	if r.o.Page != nil && *r.o.Page != on {
		return want(map[bool]string{true: "200, for page is on", false: "a refusal, for page is off"}[*r.o.Page], "%v", a)
	}
	if !on {
		r.observe("it is off")
		return nil
	}
	text, err := unzipped(a)
	if err != nil {
		return want("GET /upload to answer 200 with gzip", "%v, %v", a, err)
	}
	if policy := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") ||
		!strings.Contains(policy, "frame-ancestors ") || strings.Contains(policy, "unsafe") {
		return want("a content-security-policy that lets in nothing but the page's own", "%q", policy)
	}
	if got := a.header.Get("Referrer-Policy"); got != "no-referrer" {
		return want("referrer-policy: no-referrer", "%q", got)
	}
	files := pageFiles.FindAllStringSubmatch(text, -1)
	if len(files) == 0 {
		return want("a page that names its files", "%d bytes without any", len(text))
	}
	for _, file := range files {
		a, err := r.do(ctx, compressed(file[1]))
		if err != nil {
			return err
		}
		text, err := unzipped(a)
		if err != nil {
			return want("GET "+file[1]+" to answer 200 with gzip", "%v, %v", a, err)
		}
		if sum := sha256.Sum256([]byte(text)); !strings.HasPrefix(hex.EncodeToString(sum[:]), file[2]) {
			return want("the file whose digest is in its name", "other bytes for %s", file[1])
		}
	}
	for _, refused := range []struct {
		method, target string
		status         int
	}{{"GET", "/upload/x", 404}, {"POST", "/upload", 405}} {
		a, err := r.do(ctx, request{what: refused.method + " " + refused.target, method: refused.method, target: refused.target})
		if err != nil {
			return err
		}
		if a.status != refused.status {
			return want(strconv.Itoa(refused.status)+" for "+refused.method+" "+refused.target, "%v", a)
		}
	}
	return nil
}

var errNotZipped = errors.New("no content-encoding: gzip")

// unzipped is the body of an answer that must be 200 and compressed.
func unzipped(a *answer) (string, error) {
	if a.status != 200 || !slices.Contains(a.header.Values("Content-Encoding"), "gzip") {
		return "", errNotZipped
	}
	zipped, err := gzip.NewReader(strings.NewReader(a.text))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(zipped)
	return string(text), err
}
