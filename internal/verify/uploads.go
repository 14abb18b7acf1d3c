package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

// minted is a URL of the deployment.
type minted struct {
	target string // path?query, as it was minted
	query  onetime.Query
	key    string // of the object
	id     onetime.ID
	// What became of it, as far as known, for the list of what is left behind.
	spent, stored, parts bool
}

// path is the part before the query.
func (m *minted) path() string { return "/" + m.key }

// mint gets a URL and makes sure that it belongs to this deployment: no request of this
// run may go to another host.
func (r *run) mint(ctx context.Context, headers ...header) (*minted, *answer, error) {
	return r.mintFor(ctx, "", headers...)
}

// mintFor is mint with options, as a query.
func (r *run) mintFor(ctx context.Context, options string, headers ...header) (*minted, *answer, error) {
	target := "/url"
	if options != "" {
		target += "?" + options
	}
	a, err := r.do(ctx, request{what: "GET /url", method: "GET", target: target, headers: headers})
	if err != nil {
		return nil, nil, err
	}
	if a.is(401, "credential-missing") {
		return nil, nil, want("200", "%v: the deployment asks for a credential, give one", a)
	}
	if a.status != 200 {
		return nil, nil, want("200", "%v", a)
	}
	m, err := r.parse(a.text)
	if err != nil {
		return nil, nil, err
	}
	r.urls = append(r.urls, m)
	return m, a, nil
}

var region = regexp.MustCompile(`^X-Amz-Algorithm=[^&]*&X-Amz-Credential=[^&%]*%2F\d{8}%2F([a-z0-9-]+)%2F`)

func (r *run) parse(text string) (*minted, error) {
	target, ok := strings.CutPrefix(text, r.base)
	if !ok || !strings.HasPrefix(target, "/") {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return nil, want("a URL on "+r.base, "something else (%s)", size(int64(len(text))))
		}
		return nil, want("a URL on "+r.base, "one on %s://%s", u.Scheme, u.Host)
	}
	path, query, _ := strings.Cut(target, "?")
	m := &minted{target: target, id: onetime.Fingerprint(path, query)}
	var err error
	if m.key, err = onetime.UploadKey(path); err != nil {
		return nil, want("a URL of the form that the README gives", "%v", err)
	}
	in := r.o.Region
	if found := region.FindStringSubmatch(query); in == "" && found != nil {
		in = found[1]
	}
	if m.query, err = onetime.ParseQuery(query, in); err != nil {
		return nil, want("a URL of the form that the README gives, for Region "+in, "%v", err)
	}
	return m, nil
}

// put is an upload with the URL, whole or altered.
func put(what, target, body string, headers ...header) request {
	return request{what: what, method: "PUT", target: target, headers: headers, body: strings.NewReader(body), length: int64(len(body))}
}

// A bucket whose versioning was just switched on may answer 404 for what it has just
// stored. AWS says to wait 15 minutes:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html
const (
	youngTries = 4
	youngPause = 2 * time.Second
	youngHint  = "; where versioning was switched on less than 15 minutes ago S3 may answer 404 for what it has just stored: run again later"
)

// upload uploads with an unused URL and notes what became of it.
func (r *run) upload(ctx context.Context, m *minted, body string, headers ...header) (*answer, error) {
	for try := 1; ; try++ {
		a, err := r.do(ctx, put("first PUT", m.target, body, headers...))
		if err != nil {
			m.spent = true // perhaps
			return nil, err
		}
		if a.is(403, "unknown") && try < youngTries {
			r.young++
			r.observe("403 unknown at first: S3 did not know the entry yet, as can happen in the 15 minutes after versioning is switched on")
			if err := pause(ctx, youngPause); err != nil {
				return nil, err
			}
			continue
		}
		m.spent = a.reason() == "" || a.reason() == "claim-unknown" || a.reason() == "used"
		m.stored = a.status == 200
		return a, nil
	}
}

// stored mints a URL, uploads to it and insists on 200.
func (r *run) stored(ctx context.Context, body string, headers ...header) (*minted, *answer, error) {
	m, _, err := r.mint(ctx)
	if err != nil {
		return nil, nil, err
	}
	a, err := r.upload(ctx, m, body, headers...)
	if err != nil {
		return nil, nil, err
	}
	return m, a, r.uploaded(a)
}

// uploaded returns nil if the answer says that S3 has stored the upload.
func (r *run) uploaded(a *answer) error {
	expected := "200 with ETag and x-amz-version-id"
	if r.o.unversioned() {
		expected = "200 with ETag"
	}
	switch {
	case a.is(403, "unknown"):
		return want(expected, "%v%s", a, youngHint)
	case a.status != 200 && a.reason() == "":
		return want(expected, "%v: the gate let it pass, S3 did not take it (is the query forwarded whole, the origin's host the bucket's, the gate's role allowed to put, no origin access control set?)", a)
	case a.status != 200:
		return want(expected, "%v", a)
	case a.header.Get("Etag") == "" || a.header.Get("X-Amz-Version-Id") == "" && !r.o.unversioned():
		return want(expected, "200 with ETag %q and x-amz-version-id %q", a.header.Get("Etag"), a.header.Get("X-Amz-Version-Id"))
	}
	return nil
}

func (r *run) mintLine(ctx context.Context) error {
	m, a, err := r.mint(ctx)
	if err != nil {
		return err
	}
	r.first, r.mintAnswer = m, a
	if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain") {
		return want("content-type text/plain", "%q", got)
	}
	r.observe("URLs live %v", m.query.Life)
	if r.o.Expires != 0 && m.query.Life != r.o.Expires {
		return want(fmt.Sprintf("a URL that lives %v, as config.json says", r.o.Expires), "%v", m.query.Life)
	}
	if d := time.Since(m.query.Date); d.Abs() > 5*time.Minute {
		return want("a URL dated now", "one dated %v: one of the two clocks is wrong", m.query.Date)
	}
	return nil
}

func (r *run) mintAgain(ctx context.Context) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	if m.target == r.first.target || m.key == r.first.key {
		return want("another URL for another object", "the same again")
	}
	return nil
}

func (r *run) mintHead(ctx context.Context) error {
	a, err := r.do(ctx, request{what: "HEAD /url", method: "HEAD", target: "/url"})
	if err != nil {
		return err
	}
	if a.status != 200 {
		return want("200", "%v", a)
	}
	for name, values := range a.header {
		if strings.Contains(strings.Join(values, " "), "/"+layout.Uploads) {
			return want("no URL", "one in header %s", strings.ToLower(name))
		}
	}
	return nil
}

func (r *run) mintOptions(ctx context.Context) error {
	return r.expect(ctx, []expectation{
		{request{what: "GET /url?x=1", method: "GET", target: "/url?x=1"}, 400, "options"},
		{request{what: "GET /url/x", method: "GET", target: "/url/x"}, 403, "path"},
		{request{what: "GET //url", method: "GET", target: "//url"}, 403, "path"},
		{request{what: "GET /%75rl", method: "GET", target: "/%75rl"}, 403, "path"},
		{request{what: "POST /url without JSON", method: "POST", target: "/url", body: strings.NewReader("x"), length: 1}, 400, "options"},
		{request{what: "PUT /url", method: "PUT", target: "/url", body: strings.NewReader("x"), length: 1}, 403, "method"},
		{request{what: "DELETE /url", method: "DELETE", target: "/url"}, 403, "method"},
	})
}

// expectation is a request and the only right answer to it.
type expectation struct {
	request
	status int
	reason string // "*" for any
}

// expect makes the requests and reports the first with another answer.
func (r *run) expect(ctx context.Context, all []expectation) error {
	for _, e := range all {
		a, err := r.do(ctx, e.request)
		if err != nil {
			return fmt.Errorf("%s: %w", e.what, err)
		}
		if a.status != e.status || a.reason() != e.reason && (e.reason != "*" || a.reason() == "") {
			return want(fmt.Sprintf("%d %s for %s", e.status, strings.Replace(e.reason, "*", "with a reason", 1), e.what), "%v", a)
		}
	}
	return nil
}

func (r *run) gate(ctx context.Context) error {
	a, err := r.do(ctx, request{what: "GET /", method: "GET", target: "/"})
	if err != nil {
		return err
	}
	if a.reason() == "" {
		return want("a refusal with x-oncegate-reason for GET /", "%v: is the gate associated with the default behavior?", a)
	}
	return nil
}

// The headers of the first upload; what came of them at S3 is a line of its own.
var objectHeaders = []header{
	{"Content-Type", "text/plain; charset=utf-8"},
	{"Content-Disposition", `attachment; filename="oncegate verify.txt"`},
	{"Content-Encoding", "identity"},
	{"Content-Language", "en"},
	{"Cache-Control", "private, max-age=60"},
}

func (r *run) firstPut(ctx context.Context) error {
	a, err := r.upload(ctx, r.first, "oncegate verify", objectHeaders...)
	if err != nil {
		return err
	}
	r.firstAnswer = a
	return r.uploaded(a)
}

func (r *run) replay(ctx context.Context) error {
	for range 2 {
		if err := r.expect(ctx, []expectation{{put("the second PUT", r.first.target, "another body"), 403, "used"}}); err != nil {
			return err
		}
	}
	return nil
}

// respelled uploads as clients do that write a query in their own way.
func (r *run) respelled(ctx context.Context) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	query := m.query.String()
	sorted := strings.Join(slices.Sorted(strings.SplitSeq(query, "&")), "&")
	minted := m.target
	m.target = m.path() + "?" + strings.ReplaceAll(sorted, "%2F", "/")
	a, err := r.upload(ctx, m, "x")
	m.target = minted
	if err == nil {
		err = r.uploaded(a)
	}
	if err != nil {
		return err
	}
	var all []expectation
	for what, spelled := range map[string]string{
		"as it was minted": query, "sorted": sorted, "with %2f for %2F": strings.ReplaceAll(query, "%2F", "%2f"), "with an & after it": query + "&",
	} {
		all = append(all, expectation{put("a second PUT with the query "+what, m.path()+"?"+spelled, "x"), 403, "used"})
	}
	return r.expect(ctx, all)
}

// racers is how many PUTs of one URL start together.
const racers = 20

func (r *run) race(ctx context.Context) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	r.raced = m
	m.spent, m.stored = true, true
	conns := make([]net.Conn, racers)
	for i := range conns { // connect first, so that the requests start together
		if conns[i], err = r.dial(ctx); err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		defer conns[i].Close()
	}
	answers := make([]*answer, racers)
	errs := make([]error, racers)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range racers {
		done.Go(func() {
			q := put("a PUT in the race", m.target, raceBody(i))
			start.Wait()
			answers[i], errs[i] = exchange(ctx, conns[i], r.host, q)
		})
	}
	start.Done()
	done.Wait()
	counts := map[string]int{}
	passed, throttled := 0, 0
	for i := range racers {
		r.note(answers[i])
		a := answers[i]
		if a != nil && a.is(503, "index-unavailable") { // nothing was spent: send it again
			if a, errs[i] = r.do(ctx, put("a PUT after the race", m.target, raceBody(i))); errs[i] == nil {
				r.observe("503 index-unavailable, repeated")
			}
		}
		switch {
		case errs[i] != nil:
			counts[errs[i].Error()]++
		case a.status == 200:
			passed++
			r.winner = raceBody(i)
			fallthrough
		default:
			counts[a.String()]++
			if a.throttled() {
				throttled++
			}
		}
	}
	if passed != 1 || counts["403 used"] != racers-1 {
		var got []string
		for what, n := range counts {
			got = append(got, fmt.Sprintf("%d x %s", n, what))
		}
		slices.Sort(got)
		wrong := &mismatch{expected: fmt.Sprintf("1 x 200, %d x 403 used", racers-1), got: strings.Join(got, ", ")}
		// Who was throttled did not race. What is wrong among the others stays wrong.
		raced := racers - throttled
		wrong.throttled = throttled > 0 && (raced == 0 || passed == 1 && counts["403 used"] == raced-1)
		wrong.certain = !wrong.throttled
		return wrong
	}
	return nil
}

func raceBody(i int) string { return fmt.Sprintf("racer %d", i) }

func (r *run) md5(ctx context.Context) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	const ofEmpty = "1B2M2Y8AsgTpgAmY7PhCfg=="
	a, err := r.upload(ctx, m, "not empty", header{"Content-MD5", ofEmpty})
	if err != nil {
		return err
	}
	if a.status < 400 || a.status > 499 || a.reason() != "" {
		return want("4xx of S3 for a body that does not fit its Content-MD5", "%v", a)
	}
	r.observe("%v", a)
	return r.expect(ctx, []expectation{{put("the same PUT again", m.target, "x"), 403, "used"}})
}

// checksum uploads the body that the URL was minted for, and another one. Only S3 can
// tell the two apart.
func (r *run) checksum(ctx context.Context) error {
	const body = "summed"
	sum := sha256.Sum256([]byte(body))
	var made [2]*minted
	for i := range made {
		m, _, err := r.mintFor(ctx, "sha256="+hex.EncodeToString(sum[:]))
		if got, refused := optionsRefused(err); refused {
			if r.o.SHA256 {
				return want("a URL for the SHA-256 of a body, as config.json says", "%s", got)
			}
			return skip("the setting sha256 is off")
		}
		if err != nil {
			return err
		}
		made[i] = m
	}
	a, err := r.upload(ctx, made[0], body)
	if err != nil {
		return err
	}
	if err := r.uploaded(a); err != nil {
		return err
	}
	if a, err = r.upload(ctx, made[1], "another"); err != nil {
		return err
	}
	if a.status < 400 || a.status > 499 || a.reason() != "" {
		return want("4xx of S3 for another body", "%v", a)
	}
	r.observe("%v for another body", a)
	return r.expect(ctx, []expectation{{put("the body that was meant, too late", made[1].target, body), 403, "used"}})
}

func (r *run) clientHeaders(ctx context.Context) error {
	_, _, err := r.stored(ctx, "client headers",
		header{"Authorization", "Bearer of-the-client"},
		header{"If-None-Match", `"of-the-client"`},
		header{"X-Amz-Acl", "public-read"},
		header{"X-Amz-Meta-Of", "the-client"},
		header{"X-Amz-Tagging", "of=the-client"},
		header{"X-Amz-Checksum-Sha256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="})
	return err
}

func (r *run) largeBody(ctx context.Context) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	r.large = m
	sum := sha256.New()
	began := time.Now()
	a, err := r.send(ctx, request{
		what: "the large PUT", method: "PUT", target: m.target, length: r.o.LargeBytes,
		body: io.TeeReader(io.LimitReader(noise(), r.o.LargeBytes), sum),
	})
	m.spent = true
	if err != nil {
		return err
	}
	m.stored = a.status == 200
	r.largeSum = hex.EncodeToString(sum.Sum(nil))
	r.observe("%s in %.1f s", size(r.o.LargeBytes), time.Since(began).Seconds())
	return r.uploaded(a)
}

// noise does not compress and has no pattern that could hide a wrong offset.
func noise() io.Reader {
	var seed [32]byte
	copy(seed[:], "oncegate verify")
	return rand.NewChaCha8(seed)
}

// early sends a large body with a spent URL and notes what the client sees.
func (r *run) early(ctx context.Context, expect bool) error {
	a, err := r.send(ctx, request{
		what: "a large PUT of a spent URL", method: "PUT", target: r.first.target, length: r.o.EarlyBytes, expect: expect,
		body: io.LimitReader(noise(), r.o.EarlyBytes),
	})
	if err != nil {
		return want("403 used, readable", "%v", err)
	}
	if !a.is(403, "used") {
		return want("403 used", "%v", a)
	}
	seen := fmt.Sprintf("answered after %s of %s", size(a.sent), size(r.o.EarlyBytes))
	if a.begun {
		seen = "100 Continue, then " + seen
	}
	if a.end != "" {
		seen += ", " + a.end
	}
	r.observe("%s", seen)
	return nil
}

func (r *run) earlyRefusal(ctx context.Context) error       { return r.early(ctx, false) }
func (r *run) earlyRefusalExpect(ctx context.Context) error { return r.early(ctx, true) }
