package verify_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/cloudfront"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/verify"
)

// patch changes index.mjs of a stack's artifact. What is replaced must be there.
func patch(pairs ...string) testbed.Option { return patchFile("index.mjs", pairs...) }

func patchPage(pairs ...string) testbed.Option { return patchFile("page.mjs", pairs...) }

func patchFile(name string, pairs ...string) testbed.Option {
	return func(s *testbed.Setup) {
		s.Artifact = func(dir string) error {
			path := filepath.Join(dir, name)
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text := string(data)
			for i := 0; i < len(pairs); i += 2 {
				if strings.Count(text, pairs[i]) != 1 {
					return fmt.Errorf("%s does not have %q once", name, pairs[i])
				}
				text = strings.Replace(text, pairs[i], pairs[i+1], 1)
			}
			return os.WriteFile(path, []byte(text), 0o644)
		}
	}
}

// The handlers as the artifact has them, where it makes a request and is told the answer, and
// patches that wrap the handlers: result is
// the body of a function of event, context and request that returns the result.
const (
	mintExport = `var mint = (event, context) => handle("mint", event, context);`
	gateExport = `var gate = (event, context) => handle("gate", event, context);`
	asked      = "const request = server.send(lines, body, limitMs, (answer) => {"
	answered   = `this.#call("received", id, answer.status,`
)

func gateIs(body string) testbed.Option {
	return patch(gateExport, "var gate = async (event, context) => { const request = event.Records[0].cf.request; "+body+" };")
}

// asPut is the gate's own decision over the request as if it were an upload.
const asPut = `
	const as = structuredClone(event);
	if (request.method !== 'PUT' && request.method !== 'OPTIONS') {
		as.Records[0].cf.request.method = 'PUT';
		as.Records[0].cf.request.headers['content-length'] = [{ value: '1' }];
	}
	const result = await handle('gate', as, context);`

func distribution(change func(*cloudfront.Distribution)) testbed.Option {
	return func(s *testbed.Setup) { s.Distribution = change }
}

// behaviors changes each behavior.
func behaviors(change func(*cloudfront.Behavior)) testbed.Option {
	return distribution(func(d *cloudfront.Distribution) {
		d.Behaviors = slices.Clone(d.Behaviors)
		for i := range d.Behaviors {
			change(&d.Behaviors[i])
		}
	})
}

// notForwarded has CloudFront forward by a list that lacks a header.
func notForwarded(name string) testbed.Option {
	return func(s *testbed.Setup) { s.Template = testbed.ForwardingLess(name) }
}

// slots limits how many stacks run at a time: each has half a dozen processes.
var slots = make(chan struct{}, 3)

// bucketAllows leaves a statement out of the bucket policy.
func bucketAllows(sid string) testbed.Option {
	return func(s *testbed.Setup) {
		s.Template = func(t *testbed.Templates) { testbed.Without(t.BucketPolicy(), sid) }
	}
}

// TestBrokenDeployments breaks one thing at a time: exactly the lines about it fail.
func TestBrokenDeployments(t *testing.T) {
	for _, c := range []struct {
		name   string
		broken testbed.Option
		s3     func(*http.Request) s3server.Fault
		failed []string
	}{
		{"gate not associated", behaviors(func(b *cloudfront.Behavior) {
			if b.PathPattern == "*" {
				b.ViewerRequest = ""
			}
		}), nil, []string{"gate"}},
		{"query not forwarded", behaviors(func(b *cloudfront.Behavior) { b.OriginRequest.QueryStrings = false }),
			nil, []string{"first-put"}},
		{"complete is not shown its list of parts", behaviors(func(b *cloudfront.Behavior) {
			if b.PathPattern == "/s3/*/complete" {
				b.IncludeBody = false
			}
		}), nil, []string{"uppy"}},
		{"content-disposition not forwarded", notForwarded("content-disposition"), nil, []string{"metadata"}},
		{"content-md5 not forwarded", notForwarded("content-md5"), nil, []string{"md5"}},

		{"gate open on errors", gateIs(`
			const result = await handle('gate', event, context);
			return result.status === '503' ? request : result;`), nil, []string{"fails-closed"}},
		{"gate takes any answer to its claim for success",
			patch(answered, `this.#call("received", id, `+"lines[0] === 'PUT' && lines[1].includes('/expired/') ? 200 : answer.status,"),
			slowClaims, []string{"race"}},
		{"gate takes a failed HEAD for absent",
			patch(answered, `this.#call("received", id, `+"lines[0] === 'HEAD' ? 404 : answer.status,"),
			nil, []string{"multipart", "uppy", "revoked"}}, // the claim alone still holds all the rest
		{"gate does both",
			patch(answered, `this.#call("received", id, `+"lines[0] === 'HEAD' ? 404 : lines[1].includes('/expired/') ? 200 : answer.status,",
				`let head = "";`, `let head = lines[1].includes("/expired/") ? "x-amz-version-id\nmade-up\n" : "";`),
			slowClaims, []string{"replay", "race", "metadata", "md5", "broken-off", "multipart", "uppy", "revoked"}},
		{"the page has no policy", patchPage("'content-security-policy': policy,", ""), nil, []string{"page"}},
		{"a file of the page is another", patchPage("body: file[encoding],", "body: file.headers ? file[encoding] : built.files[Object.keys(built.files)[0]][encoding],"), nil, []string{"page"}},
		{"the page takes any method", patchPage("method !== 'GET' && method !== 'HEAD'", "false"), nil, []string{"page"}},
		{"the gate answers for the page", behaviors(func(b *cloudfront.Behavior) {
			if strings.HasPrefix(b.PathPattern, "/upload") {
				b.ViewerRequest = "oncegate-gate"
			}
		}), nil, []string{"page"}},
		{"gate fails", gateIs(`throw new Error('on purpose');`), nil, []string{"gate", "functions"}},
		{"gate alters a read-only header", gateIs(`
			const result = await handle('gate', event, context);
			if (!result.status) delete result.headers.host;
			return result;`), nil, []string{"first-put", "functions"}},

		{"every method passes and spends", gateIs(asPut + `
			return result.status ? result : { ...request, querystring: result.querystring };`),
			// S3 tells whoever sends another method what it would have signed. The headers are the
			// client's, whom S3 then takes for two.
			nil, []string{"client-headers", "methods", "multipart", "no-leak"}},
		{"every method spends", gateIs(asPut + `
			return as.Records[0].cf.request.method === request.method ? result : handle('gate', event, context);`),
			nil, []string{"multipart", "unspent-index", "unspent"}},
		{"gate judges a path that it has cleaned", gateIs(`
			const as = structuredClone(event);
			as.Records[0].cf.request.uri = request.uri.replace('/./', '/').replace('//', '/');
			const result = await handle('gate', as, context);
			return result.status ? result : { ...result, uri: request.uri };`), nil, []string{"raw-paths", "no-leak"}},

		{"no cache-control", patch(
			mintExport, "var mint = (event, context) => handle('mint', event, context).then(strip);",
			gateExport, "var gate = (event, context) => handle('gate', event, context).then(strip);\n"+
				"const strip = (result) => { if (result.status) delete result.headers['cache-control']; return result; };"),
			nil, []string{"no-store"}},
		{"URLs on another host", patch(mintExport, `
			var mint = async (event, context) => {
				const result = await handle('mint', event, context);
				if (result.body) result.body = result.body.replace(/^http:..[^/]*/, 'http://elsewhere.example');
				return result;
			};`), nil, []string{"mint"}},
		{"mint without registering", patch(asked,
			"if (lines[0] === 'PUT' && lines[1].includes('/valid/')) { const head = Buffer.from('date\\n' + new Date().toUTCString() + '\\n'); setImmediate(() => this.#call('received', id, 200, this.#announce(head), head.length, 0)); return; }\n"+asked),
			nil, []string{"registered", "first-put"}},
		{"refusals show the query", gateIs(`
			const result = await handle('gate', event, context);
			if (result.status) result.headers['x-debug'] = [{ value: request.querystring }];
			return result;`), nil, []string{"no-leak"}},

		{"deletes allowed", bucketAllows("IndexIsNotDeleted"), nil, []string{"index-undeletable", "slots"}},
		{"unconditional slots allowed", bucketAllows("InvitationsAreConditional"), nil, []string{"slots"}},
		{"slots are overwritten", func(*testbed.Setup) {}, ignoringIfMatch, []string{"slots"}},
		{"unconditional claims allowed", bucketAllows("ClaimsAreConditional"), nil, []string{"claims-conditional"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			t.Cleanup(func() { <-slots })
			st := newStack(t, c.broken)
			st.EveryRequest(c.s3)
			if slices.Contains(c.failed, "race") {
				warm(t, st)
			}
			check(t, options(st), c.failed...)
		})
	}
}

// ignoringIfMatch answers every write with If-Match as if it had been done.
func ignoringIfMatch(r *http.Request) s3server.Fault {
	if r.Method == http.MethodPut && r.Header.Get("If-Match") != "" {
		return s3server.Fault{Kind: s3server.Answer, Status: http.StatusOK}
	}
	return s3server.Fault{}
}

// claimDelay gives every process of a race the time to look before one has claimed.
const claimDelay = 300 * time.Millisecond

func slowClaims(r *http.Request) s3server.Fault {
	if isClaim(r) {
		return s3server.Fault{Delay: claimDelay}
	}
	return s3server.Fault{}
}

func isClaim(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/expired/")
}

// warm uploads until two processes of the gate have been at work at the same
// time: one alone would decide a race in turn.
func warm(t *testing.T, st *testbed.Stack) {
	t.Helper()
	for range 200 {
		var mu sync.Mutex
		var last time.Time
		var overlap bool
		st.EveryRequest(func(r *http.Request) s3server.Fault {
			if isClaim(r) {
				mu.Lock()
				defer mu.Unlock()
				overlap = overlap || !last.IsZero() && time.Since(last) < claimDelay
				last = time.Now()
			}
			return slowClaims(r)
		})
		var done sync.WaitGroup
		for range 4 {
			m := st.Mint(t)
			done.Go(func() { st.Put(t, m, "x") })
		}
		done.Wait()
		st.EveryRequest(slowClaims)
		if overlap {
			return
		}
	}
	t.Fatal("the gate never ran in two processes at once")
}

// TestVersioningSuspended: an object that can be replaced without a trace.
func TestVersioningSuspended(t *testing.T) {
	st := newStack(t)
	_, err := s3servertest.Client(st.S3).PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  aws.String(s3servertest.Bucket),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended},
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, options(st), "first-put", "versioning")
}

// TestYoungBucket: a bucket whose versioning was switched on a moment ago does not
// know at once what it has stored.
func TestYoungBucket(t *testing.T) {
	st := newStack(t)
	var asked atomic.Int32
	st.EveryRequest(func(r *http.Request) s3server.Fault {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/valid/") && asked.Add(1) <= 2 {
			return s3server.Fault{Kind: s3server.Answer, Status: http.StatusNotFound}
		}
		return s3server.Fault{}
	})
	report := check(t, options(st))
	for _, l := range report.Lines {
		if l.ID == "versioning" && !strings.Contains(l.Observed, "15 minutes") {
			t.Errorf("nothing is said of the 404s: %q", l.Observed)
		}
	}
}

// TestIndexUnavailable: the suite does what the README tells clients.
func TestIndexUnavailable(t *testing.T) {
	st := newStack(t)
	var asked atomic.Int32
	st.EveryRequest(func(r *http.Request) s3server.Fault {
		if r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/expired/") && asked.Add(1) == 1 {
			return s3server.Fault{Kind: s3server.Answer, Status: http.StatusForbidden}
		}
		return s3server.Fault{}
	})
	report := check(t, options(st))
	for _, l := range report.Lines {
		if l.ID == "first-put" && !strings.Contains(l.Observed, "repeated") {
			t.Errorf("nothing is said of the 503: %q", l.Observed)
		}
	}
}

// TestWithoutCredentials checks the public promises alone.
func TestWithoutCredentials(t *testing.T) {
	st := newStack(t)
	o := options(st)
	o.Credentials = nil
	withBucket := check(t, o)
	o.Bucket = ""
	alone := check(t, o)
	for id, want := range map[string][2]verify.Result{
		"first-put": {verify.OK, verify.OK}, "race": {verify.OK, verify.OK}, "unspent": {verify.OK, verify.OK},
		"host-swap": {verify.OK, verify.Skipped}, "spent-once": {verify.Skipped, verify.Skipped},
		"index-undeletable": {verify.Skipped, verify.Skipped},
	} {
		for i, report := range []verify.Report{withBucket, alone} {
			for _, l := range report.Lines {
				if l.ID == id && (l.Result != want[i] || l.Result == verify.Skipped && l.Reason == "") {
					t.Errorf("%s: %s %q, want %s", id, l.Result, l.Reason, want[i])
				}
			}
		}
	}
}

func TestWriteOnce(t *testing.T) {
	writeOnce := func(s *testbed.Setup) { s.Settings["writeOnce"] = true }
	for _, c := range []struct {
		name   string
		with   []testbed.Option
		failed []string
	}{
		{"kept", []testbed.Option{writeOnce}, nil},
		{"not built in", nil, []string{"write-once"}},
		// S3 misses the header that was signed, and says so with all that it has to go by.
		{"not forwarded", []testbed.Option{writeOnce, notForwarded("if-none-match")}, []string{"first-put", "no-leak"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := newStack(t, c.with...)
			o := options(st)
			o.WriteOnce = true
			check(t, o, c.failed...)
		})
	}
}

// TestChecksum: whether the gate's checksum gets as far as S3.
func TestChecksum(t *testing.T) {
	summed := func(s *testbed.Setup) { s.Settings["sha256"] = true }
	for _, c := range []struct {
		name   string
		with   []testbed.Option
		told   bool // that the setting is on
		result verify.Result
		failed []string
	}{
		{"on", []testbed.Option{summed}, true, verify.OK, nil},
		{"on, but not known", []testbed.Option{summed}, false, verify.OK, nil},
		{"off", nil, false, verify.Skipped, nil},
		{"not built in", nil, true, verify.Fail, []string{"checksum-forwarding"}},
		// S3 misses the header that was signed, and says so with all that it has to go by.
		{"not forwarded", []testbed.Option{summed, notForwarded("x-amz-checksum-sha256")}, true, verify.Fail, []string{"checksum-forwarding", "no-leak"}},
		// A gate that forgets about it: S3 stores any body.
		{"not signed", []testbed.Option{summed, gateIs(`
			const result = await handle('gate', event, context);
			if (!result.status) delete result.headers['x-amz-checksum-sha256'];
			return result;`)}, true, verify.Fail, []string{"checksum-forwarding", "no-leak"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			t.Cleanup(func() { <-slots })
			o := options(newStack(t, c.with...))
			o.SHA256 = c.told
			for _, l := range check(t, o, c.failed...).Lines {
				if l.ID == "checksum-forwarding" && l.Result != c.result {
					t.Errorf("%s", l.Text())
				}
			}
		})
	}
}

// TestTags: whether the gate's tags get as far as S3.
func TestTags(t *testing.T) {
	tagged := func(s *testbed.Setup) { s.Settings["tags"] = []string{"cost center"} }
	for _, c := range []struct {
		name   string
		with   []testbed.Option
		told   []string
		result verify.Result
		failed []string
	}{
		{"on", []testbed.Option{tagged}, []string{"cost center"}, verify.OK, nil},
		{"not known", []testbed.Option{tagged}, nil, verify.Skipped, nil},
		{"not built in", nil, []string{"cost center"}, verify.Fail, []string{"tag-forwarding"}},
		{"not forwarded", []testbed.Option{tagged, notForwarded("x-amz-tagging")}, []string{"cost center"}, verify.Fail, []string{"tag-forwarding", "no-leak"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			t.Cleanup(func() { <-slots })
			o := options(newStack(t, c.with...))
			o.Tags = c.told
			for _, l := range check(t, o, c.failed...).Lines {
				if l.ID == "tag-forwarding" && l.Result != c.result {
					t.Errorf("%s", l.Text())
				}
			}
		})
	}
}

// TestStorageClass: a class that does not arrive ends the first upload.
func TestStorageClass(t *testing.T) {
	classed := func(s *testbed.Setup) { s.Settings["storageClass"] = "STANDARD_IA" }
	check(t, options(newStack(t, classed)))
	check(t, options(newStack(t, classed, notForwarded("x-amz-storage-class"))), "first-put", "no-leak")
}

func TestOrigins(t *testing.T) {
	const page = "https://app.example.com"
	allow := func(s *testbed.Setup) { s.Settings["allowedOrigins"] = []string{page} }
	allowAll := func(s *testbed.Setup) { s.Settings["allowedOrigins"] = []string{"*"} }
	for _, c := range []struct {
		name   string
		with   []testbed.Option
		origin string
		others bool
		failed []string
	}{
		{"allowed", []testbed.Option{allow}, page, false, nil},
		{"another one", []testbed.Option{allow}, "https://other.example.com", false, []string{"cors"}},
		{"anybody", []testbed.Option{allowAll}, page, false, []string{"cors"}},
		{"anybody, as meant", []testbed.Option{allowAll}, page, true, nil},
		{"not on what S3 answers", []testbed.Option{allow, behaviors(func(b *cloudfront.Behavior) {
			b.ResponseHeaders = cloudfront.ResponseHeadersPolicy{}
		})}, page, false, []string{"cors"}},
		{"without credentials on what S3 answers", []testbed.Option{allow, behaviors(func(b *cloudfront.Behavior) {
			cors := *b.ResponseHeaders.CORS
			cors.Credentials = false
			b.ResponseHeaders.CORS = &cors
		})}, page, false, []string{"cors"}},
		{"the policy on all answers", []testbed.Option{allow, func(s *testbed.Setup) { s.Edge.PolicyOnGenerated = true }}, page, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			t.Cleanup(func() { <-slots })
			st := newStack(t, c.with...)
			o := options(st)
			o.Origin, o.OtherOrigins = c.origin, c.others
			check(t, o, c.failed...)
		})
	}
}
