package verify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"oncegate/internal/layout"
)

// refuse mints a URL and makes requests with it that must be refused and must not spend
// it. A later line checks that the URL still works.
func (r *run) refuse(ctx context.Context, line string, requests func(m *minted) []expectation) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	if err := r.expect(ctx, requests(m)); err != nil {
		m.spent = true // perhaps
		return err
	}
	r.survives(line, m)
	return nil
}

func (r *run) methods(ctx context.Context) error {
	return r.refuse(ctx, "methods", func(m *minted) []expectation {
		var all []expectation
		for _, method := range []string{"GET", "HEAD"} {
			all = append(all, expectation{request{what: method, method: method, target: m.target}, 403, "method"})
		}
		for _, method := range []string{"POST", "PATCH"} {
			all = append(all, expectation{request{what: method, method: method, target: m.target, body: strings.NewReader("x"), length: 1}, 403, "method"})
		}
		return all
	})
}

func (r *run) preflight(ctx context.Context) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	origin := r.o.Origin
	if origin == "" {
		origin = "https://app.example.com"
	}
	a, err := r.do(ctx, request{what: "OPTIONS", method: "OPTIONS", target: m.target, headers: []header{
		{"Origin", origin}, {"Access-Control-Request-Method", "PUT"}, {"Access-Control-Request-Headers", "content-type, traceparent"},
	}})
	if err != nil {
		return err
	}
	switch allowed := a.header.Get("Access-Control-Allow-Methods"); {
	case a.status != 204 || a.text != "":
		return want("204 and no body", "%v and %s", a, size(int64(len(a.text))))
	case !lists(allowed, "PUT"):
		return want("access-control-allow-methods with PUT", "%q", allowed)
	}
	for _, name := range []string{"content-type", "traceparent"} {
		if got := a.header.Get("Access-Control-Allow-Headers"); r.o.Origin != "" && !lists(got, name) && a.header.Get("Access-Control-Allow-Origin") != "" {
			return want("access-control-allow-headers with "+name, "%q", got)
		}
	}
	r.survives("preflight", m)
	return nil
}

// lists reports whether a comma-separated header contains value.
func lists(header, value string) bool {
	return slices.ContainsFunc(strings.Split(header, ","), func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), value) })
}

func (r *run) expired(ctx context.Context) error {
	return r.refuse(ctx, "expired", func(m *minted) []expectation {
		old := m.query
		old.Date = old.Date.AddDate(0, 0, -8) // no URL lives for more than seven days
		return []expectation{{put("a PUT with the URL dated back by 8 days", m.path()+"?"+old.String(), "x"), 403, "expired"}}
	})
}

func (r *run) tamperedPath(ctx context.Context) error {
	return r.refuse(ctx, "tampered-path", func(m *minted) []expectation {
		at := func(what, path, reason string) expectation {
			return expectation{put("a PUT to "+what, path+"?"+m.query.String(), "x"), 403, reason}
		}
		return []expectation{
			at("another object", "/"+layout.Uploads+uuid.NewString(), "unknown"),
			at("the object in upper case", "/"+layout.Uploads+strings.ToUpper(strings.TrimPrefix(m.key, layout.Uploads)), "path"),
			at("the object with a slash after it", m.path()+"/", "path"),
			at("the object with .html after it", m.path()+".html", "path"),
			at("a key outside uploads/", "/"+strings.TrimPrefix(m.key, layout.Uploads), "path"),
		}
	})
}

func (r *run) tamperedQuery(ctx context.Context) error {
	return r.refuse(ctx, "tampered-query", func(m *minted) []expectation {
		query := m.query.String()
		with := func(what, query string) expectation {
			return expectation{put("a PUT with "+what, m.path()+"?"+query, "x"), 403, "unknown"}
		}
		forged, longer := m.query, m.query
		forged.Signature = flip(forged.Signature)
		longer.Life = 7*24*time.Hour - time.Second
		return []expectation{
			with("another signature", forged.String()),
			with("a longer life", longer.String()),
			with("one parameter more", query+"&x-amz-acl=public-read"),
			with("a parameter twice", query+"&x-id=PutObject"),
			{put("a PUT without a query", m.path(), "x"), 403, "unknown"},
		}
	})
}

// flip changes the last hex digit.
func flip(signature string) string {
	last := "0"
	if strings.HasSuffix(signature, "0") {
		last = "1"
	}
	return signature[:len(signature)-1] + last
}

func (r *run) rawPaths(ctx context.Context) error {
	return r.refuse(ctx, "raw-paths", func(m *minted) []expectation {
		name := strings.TrimPrefix(m.key, layout.Uploads)
		var all []expectation
		for _, prefix := range []string{
			"//uploads/", "/uploads//", "/./uploads/", "/uploads/./", "/url/../uploads/", "/x/%2e%2e/uploads/", "/%75ploads/", "/uploads%2F", "/Uploads/",
		} {
			all = append(all, expectation{put("a PUT to "+prefix+"…", prefix+name+"?"+m.query.String(), "x"), 403, "path"})
		}
		return all
	})
}

func (r *run) reads(ctx context.Context) error {
	get := func(what, target string) expectation {
		return expectation{request{what: "GET " + what, method: "GET", target: target}, 403, "*"}
	}
	id := r.first.id
	return r.expect(ctx, []expectation{
		get("an upload", r.first.path()),
		get("an upload with its spent URL", r.first.target),
		get("a version of an upload", r.first.path()+"?versionId=null"),
		get("a valid entry", "/"+id.ValidKey()),
		get("an expired entry", "/"+id.ExpiredKey()),
		get("the list of the bucket", "/?list-type=2"),
		{request{what: "HEAD an upload", method: "HEAD", target: r.first.path()}, 403, "*"},
		{request{what: "DELETE an expired entry", method: "DELETE", target: "/" + id.ExpiredKey()}, 403, "*"},
		{put("a PUT to a valid entry", "/"+id.ValidKey(), "x"), 403, "path"},
		{put("a PUT to an expired entry with a minted query", "/"+id.ExpiredKey()+"?"+r.first.query.String(), "x"), 403, "path"},
	})
}

func (r *run) noLengthLine(ctx context.Context) error {
	return r.refuse(ctx, "no-length", func(m *minted) []expectation {
		return []expectation{{request{what: "a PUT without Content-Length", method: "PUT", target: m.target}, 411, "length-required"}}
	})
}

func (r *run) chunked(ctx context.Context) error {
	return r.refuse(ctx, "chunked", func(m *minted) []expectation {
		q := put("a chunked PUT", m.target, "1\r\nx\r\n0\r\n\r\n", header{"Transfer-Encoding", "chunked"})
		q.noLength = true
		return []expectation{{q, 411, "length-required"}}
	})
}

func (r *run) tooLarge(ctx context.Context) error {
	return r.refuse(ctx, "too-large", func(m *minted) []expectation {
		q := request{what: "a PUT of 5 GiB and a byte", method: "PUT", target: m.target, noLength: true, headers: []header{{"Content-Length", "5368709121"}}}
		return []expectation{{q, 413, "too-large"}} // the body is never sent
	})
}

func (r *run) badHeaders(ctx context.Context) error {
	return r.refuse(ctx, "bad-headers", func(m *minted) []expectation {
		var all []expectation
		for _, h := range []header{
			{"X-Amz-Copy-Source", "/bucket/uploads/x"},
			{"Content-Encoding", "aws-chunked"},
			{"X-Amz-Decoded-Content-Length", "1"},
			{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
			{"Content-MD5", "not the base64 of 16 bytes"},
			{"Content-Disposition", strings.Repeat("a", 2100)},
			{"Content-Type", "multipart/form-data; boundary=b"},
			{"Content-Range", "bytes 1-1/2"},
			{"If-Match", `"of-the-client"`},
		} {
			all = append(all, expectation{put("a PUT with "+strings.ToLower(h.name), m.target, "x", h), 400, "header"})
		}
		return all
	})
}

// unspent uploads with every URL that was refused in earlier lines.
func (r *run) unspent(ctx context.Context) error {
	var wrong []string
	for _, t := range r.refused {
		a, err := r.upload(ctx, t.m, "still good")
		if err != nil {
			return err
		}
		if a.status != 200 {
			wrong = append(wrong, fmt.Sprintf("%v after what %s did", a, t.line))
		}
	}
	if len(r.refused) == 0 {
		return skip("no line above has left a URL to try")
	}
	if wrong != nil {
		return want("200 for each", "%s", strings.Join(wrong, ", "))
	}
	r.observe("%d URLs", len(r.refused))
	return nil
}

// hostSwap sends a fresh URL to S3 itself, past the gate.
func (r *run) hostSwap(ctx context.Context) error {
	if why := r.noS3(); why != "" {
		return skip("%s", why)
	}
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	host := r.o.Bucket + ".s3." + r.o.Region + ".amazonaws.com"
	type way struct {
		what, addr, host, target string
		tls                      *tls.Config
	}
	ways := []way{{"the bucket's host", host + ":443", host, m.target, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}}}
	if r.o.Endpoint != "" {
		u, err := url.Parse(r.o.Endpoint)
		if err != nil || u.Host == "" {
			return skip("AWS_ENDPOINT_URL_S3 is not a URL")
		}
		var config *tls.Config
		addr := u.Host
		if u.Scheme == "https" {
			config = &tls.Config{ServerName: u.Hostname(), RootCAs: r.o.RootCAs, MinVersion: tls.VersionTLS12}
		}
		if u.Port() == "" {
			addr = net.JoinHostPort(u.Hostname(), map[bool]string{true: "443", false: "80"}[config != nil])
		}
		ways = []way{
			{"S3 with the bucket in the path", addr, u.Host, "/" + r.o.Bucket + m.target, config},
			{"S3 with the bucket's host", addr, host, m.target, config},
		}
	}
	for _, w := range ways {
		conn, err := dial(ctx, w.addr, w.tls)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", w.what, err)
		}
		defer conn.Close()
		a, err := exchange(ctx, conn, w.host, put("a PUT to "+w.what, w.target, "x"))
		r.requests++
		if err != nil {
			return fmt.Errorf("%s: %w", w.what, err)
		}
		if a.status != 403 {
			m.stored = m.stored || a.status == 200
			return want("403 by S3", "%v from %s", a, w.what)
		}
		r.observe("%v", a)
	}
	r.survives("host-swap", m)
	return nil
}

// cors looks at an answer of each kind, as a page sees it.
func (r *run) cors(ctx context.Context) error {
	if r.o.Origin == "" {
		return skip("no allowed origin is known: give --origin, or allowedOrigins in config.json")
	}
	const stranger = "https://stranger.oncegate.invalid"
	for _, origin := range []string{r.o.Origin, stranger} {
		m, minted, err := r.mint(ctx, header{"Origin", origin})
		if err != nil {
			return err
		}
		refused, err := r.do(ctx, put("a PUT of a spent URL", r.first.target, "x", header{"Origin", origin}))
		if err != nil {
			return err
		}
		stored, err := r.upload(ctx, m, "from a page", header{"Origin", origin})
		if err != nil {
			return err
		}
		if err := r.uploaded(stored); err != nil {
			return err
		}
		for what, a := range map[string]*answer{"GET /url": minted, "a refusal": refused, "an upload": stored} {
			allowed, exposed := a.header.Get("Access-Control-Allow-Origin"), a.header.Get("Access-Control-Expose-Headers")
			if origin == stranger {
				if (allowed == origin || allowed == "*") && !r.o.OtherOrigins {
					return want("no access-control-allow-origin for "+origin, "%q for %s", allowed, what)
				}
				continue
			}
			if allowed != origin && allowed != "*" {
				return want("access-control-allow-origin "+origin+" for "+what, "%q", allowed)
			}
			if credentials := a.header.Get("Access-Control-Allow-Credentials"); (credentials == "true") != (allowed == origin) {
				return want("access-control-allow-credentials for "+what+" exactly where the origin is named", "%q", credentials)
			}
			for _, name := range []string{"etag", "x-amz-error-code", "x-amz-version-id", "x-oncegate-reason"} {
				if !lists(exposed, name) && exposed != "*" {
					return want("access-control-expose-headers with "+name+" for "+what, "%q", exposed)
				}
			}
		}
	}
	return nil
}

func (r *run) httpsOnly(ctx context.Context) error {
	host, port, err := net.SplitHostPort(r.addr)
	if r.tls == nil || err != nil || port != "443" {
		return skip("the deployment is not https on its usual port")
	}
	conn, err := dial(ctx, net.JoinHostPort(host, "80"), nil)
	if err != nil {
		r.observe("no connection")
		return nil
	}
	defer conn.Close()
	a, err := exchange(ctx, conn, r.host, request{what: "GET /url over http", method: "GET", target: "/url"})
	if err != nil {
		r.observe("no answer")
		return nil
	}
	r.note(a)
	if a.status < 300 {
		return want("a refusal or a redirect", "%v", a)
	}
	r.observe("%v", a)
	return nil
}

// earlyRefusalHTTP2 uses net/http: HTTP/2 is too much to write by hand.
func (r *run) earlyRefusalHTTP2(ctx context.Context) error {
	if r.tls == nil {
		return skip("the deployment is plain http")
	}
	config := r.tls.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := dial(ctx, r.addr, config)
	if err != nil {
		return skip("the deployment does not speak HTTP/2")
	}
	conn.Close()
	config.NextProtos = nil
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, patience+time.Duration(r.o.EarlyBytes/slowest)*time.Second)
	defer cancel()
	body := &counted{Reader: io.LimitReader(noise(), r.o.EarlyBytes)}
	q, err := http.NewRequestWithContext(ctx, "PUT", r.base+r.first.target, body)
	if err != nil {
		return errors.New("the minted URL is not one for net/http")
	}
	q.ContentLength = r.o.EarlyBytes
	res, err := transport.RoundTrip(q)
	if err != nil {
		var u *url.Error // would show the URL
		if errors.As(err, &u) {
			err = u.Err
		}
		return want("403 used, readable", "no answer after %s: %v", size(body.n.Load()), err)
	}
	defer res.Body.Close()
	sent := body.n.Load()
	text, err := io.ReadAll(io.LimitReader(res.Body, answerBytes))
	a := &answer{request: request{what: "a large PUT over HTTP/2", method: "PUT"}, status: res.StatusCode, header: res.Header, text: string(text)}
	r.note(a)
	switch {
	case !a.is(403, "used"):
		return want("403 used", "%v", a)
	case err != nil:
		return want("403 used, readable", "403 used, but its body ends with: %v", err)
	}
	r.observe("%s: answered after %s of %s", res.Proto, size(sent), size(r.o.EarlyBytes))
	return nil
}

// counted counts the bytes that are read.
type counted struct {
	io.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// notObservable is the check of a promise that cannot be checked from here.
func notObservable(reason string) func(*run, context.Context) error {
	return func(*run, context.Context) error { return skip("not observable: %s", reason) }
}
