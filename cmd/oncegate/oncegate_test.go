package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/onetime"
)

const root = "../.."

// runVerb runs the program. It may say on standard error where it acts, and no more.
func runVerb(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	var out, errs strings.Builder
	err = run(t.Context(), args, &out, &errs)
	if rest := siteLine.ReplaceAllString(errs.String(), ""); rest != "" {
		t.Errorf("%v: stderr %q", args, rest)
	}
	return out.String(), err
}

var siteLine = regexp.MustCompile(`(?m)^oncegate: bucket \S+ in \S+(; queue \S+)? at [^\s,]+(, index in table \S+ at \S+)?\n`)

func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"help"}, {"-h"}, {"--help"}} {
		out, err := runVerb(t, args...)
		if err != nil {
			t.Errorf("%v: %v", args, err)
		}
		for _, v := range verbs {
			if !strings.Contains(out, "oncegate "+v.name) {
				t.Errorf("%v does not list %s", args, v.name)
			}
		}
	}
	for _, v := range verbs {
		for _, args := range [][]string{{"help", v.name}, {v.name, "-h"}} {
			out, err := runVerb(t, args...)
			if err != nil || out != v.help {
				t.Errorf("%v: got %q, %v", args, out, err)
			}
		}
		if strings.Count(v.help, "Example: oncegate "+v.name) != 1 {
			t.Errorf("help of %s has not one example", v.name)
		}
	}
}

func TestVersion(t *testing.T) {
	if out, err := runVerb(t, "version"); err != nil || !strings.HasPrefix(out, "oncegate ") || !strings.Contains(out, "go1.") {
		t.Errorf("got %q, %v", out, err)
	}
}

// What config prints can be read as settings again, and means the same.
func TestConfigPrintsAllSettings(t *testing.T) {
	const text = `{"bucket":"a-bucket","writeOnce":true,"allowedOrigins":["https://a.example"],"memory":256,
		"auth":{"jwt":{"issuer":"https://i.example/","audience":"up","jwks":"https://i.example/keys","boundsClaim":"https://i.example/uploads"}},
		"domain":"up.example.com","certificateArn":"arn:aws:acm:us-east-1:111122223333:certificate/c0ffee00-0000-4000-8000-000000000000",
		"alarmEmail":"ops@example.com","waf":true,"existingBucket":true,"kmsKey":"aws/s3"}`
	path := filepath.Join(t.TempDir(), "c.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := runVerb(t, "config", "--config", path)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(out), &fields); err != nil {
		t.Fatal(err)
	}
	if len(fields) != len(config.Fields()) {
		t.Errorf("prints %d fields of %d", len(fields), len(config.Fields()))
	}
	want, err := config.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	wantText, _ := json.Marshal(want)
	got, err := config.Parse([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	if gotText, _ := json.Marshal(got); string(gotText) != string(wantText) {
		t.Errorf("got %s, want %s", gotText, wantText)
	}
}

func TestErrorsNameTheFix(t *testing.T) {
	t.Chdir(root)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	template, settings := assembly(t, nil)
	other := filepath.Join(t.TempDir(), "other.json")
	if err := os.WriteFile(other, []byte(`{"bucket":"other"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	dev := func(args ...string) []string {
		return append([]string{"dev", "--config", settings, "--template", template, "--data", t.TempDir(), "--port", "0", "--s3-port", "0"}, args...)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"deploy"}, `unknown verb "deploy", did you mean replay: there are help, url`},
		{[]string{"help", "deploy"}, `unknown verb "deploy"`},
		{[]string{"lst"}, `unknown verb "lst", did you mean list`},
		{[]string{"key", "create", "--label", "x", "--max-bytes", "0"}, "--max-bytes: leave it out where there is no bound"},
		{[]string{"key", "create", "--label", "x", "--max-expires", "8d"}, "--max-expires: want whole seconds, at most 7d"},
		{[]string{"key", "create", "--label", "x", "--max-expires", "10ms"}, "--max-expires: want whole seconds, at most 7d"},
		{[]string{"key", "create", "--label", "x", "--type", "png"}, "type: want MIME types"},
		{[]string{"key", "list", "--type", "image/*"}, "--type is for key create"},
		{[]string{"url", "--maxBytes", "1"}, "unknown flag --maxBytes, did you mean --max-bytes (see oncegate help url)"},
		{[]string{"list", "--labl=x"}, "unknown flag --labl, did you mean --label"},
		{[]string{"put", "--content-type", "x"}, "unknown flag --content-type: there are --distribution, --expires"},
		{[]string{"dev", "--colour"}, "unknown flag --colour: there are --concurrency, --config"},
		{[]string{"version", "--json"}, "unknown flag --json: there are none"},
		{[]string{"put", "--url"}, "--url needs a value"},
		{[]string{"version", "x"}, `unexpected argument "x" (see oncegate help version)`},
		{[]string{"config", "--config", "/nonexistent.json"}, "/nonexistent.json"},
		{dev("--port", "99999"), `--port (PORT) is "99999"`},
		{dev("--s3-port", "x"), `--s3-port (S3_PORT) is "x"`},
		{dev("--max-workers", "-1"), "allowed is 1 or more"},
		{dev("--port", port), "port " + port + " is taken by another program: choose another one with PORT="},
		{dev("--s3-port", port), "port " + port + " is taken by another program: choose another one for S3 with S3_PORT="},
		{dev("--response-policy", "some"), "allowed are origin-only and all"},
		{dev("--template", t.TempDir()), "run `make build/cdk.out/manifest.json`"},
		{dev("--config", other), "run `make build/cdk.out/manifest.json CONFIG=" + other + "`"},
	} {
		out, err := runVerb(t, tt.args...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want %q", tt.args, err, tt.want)
		} else if strings.Contains(err.Error(), "\n") || out != "" {
			t.Errorf("%v: more than one sentence: %v %s", tt.args, err, out)
		}
	}
	build, err := filepath.Abs("build")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	t.Setenv("PATH", "")
	if _, err := runVerb(t, dev()...); err == nil || !strings.Contains(err.Error(), "run `make tools`") {
		t.Errorf("without versitygw: got %v", err)
	}
	if err := os.Symlink(build, "build"); err != nil {
		t.Fatal(err)
	}
	if _, err := runVerb(t, dev()...); err == nil || !strings.Contains(err.Error(), "run `npm ci`") {
		t.Errorf("without Node: got %v", err)
	}
	for _, flag := range []string{"--s3-server", "--node"} {
		if _, err := runVerb(t, dev(flag, "nowhere/program")...); err == nil || !strings.Contains(err.Error(), "nowhere/program") || !strings.Contains(err.Error(), "or name one with "+flag+" PATH") {
			t.Errorf("%s: got %v", flag, err)
		}
	}
}

// assembly is what `make dev` reads, for a bucket of the test's own, and the file
// with its settings. change may break the templates.
func assembly(t *testing.T, change func(*testbed.Templates)) (dir, settings string) {
	t.Helper()
	dir = testbed.Assembly(t, map[string]any{"bucket": "bucket-of-the-test"}, change)
	found, err := filepath.Glob(filepath.Join(dir, "asset.*", "config.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("settings in %s: %v, %v", dir, found, err)
	}
	return dir, found[0]
}

// syncBuffer collects output and tells when there is more.
type syncBuffer struct {
	mu   sync.Mutex
	text string
	more chan struct{}
}

func newSyncBuffer() *syncBuffer { return &syncBuffer{more: make(chan struct{}, 1)} }

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text += string(p)
	select {
	case b.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text
}

func (b *syncBuffer) waitFor(t *testing.T, s string, ended <-chan error) {
	t.Helper()
	timeout := time.After(time.Minute)
	for !strings.Contains(b.String(), s) {
		select {
		case <-b.more:
		case err := <-ended:
			t.Fatalf("ended with %v before %q: %s", err, s, b)
		case <-timeout:
			t.Fatalf("no %q in %s", s, b)
		}
	}
}

// TestDev is what a newcomer does, twice: the bucket and its credentials survive.
func TestDev(t *testing.T) {
	t.Chdir(root)
	template, settings := assembly(t, nil)
	data := filepath.Join(t.TempDir(), "dev")
	var credentials string
	var spent string // path and query of the first round's URL
	for round := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		stdout, stderr := newSyncBuffer(), newSyncBuffer()
		ended := make(chan error, 1)
		go func() {
			ended <- run(ctx, []string{"dev", "--config", settings, "--template", template, "--data", data, "--port", "0", "--s3-port", "0"}, stdout, stderr)
		}()
		stdout.waitFor(t, "Ctrl-C stops everything.\n", ended)
		env := readEnv(t, filepath.Join(data, "env"))
		for _, name := range []string{"env", "credentials.json"} {
			if info, err := os.Stat(filepath.Join(data, name)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
		if !strings.Contains(stdout.String(), "URL=$(curl -s "+strings.TrimPrefix(env["ONCEGATE_URL"], "http://")+"/url)") {
			t.Errorf("the curl lines are not of %s: %s", env["ONCEGATE_URL"], stdout)
		}
		if env["ONCEGATE_BUCKET"] != "bucket-of-the-test" || env["AWS_REGION"] != "us-east-1" || env["AWS_ENDPOINT_URL_S3"] == "" {
			t.Errorf("env is %v", env)
		}
		keys := env["AWS_ACCESS_KEY_ID"] + env["AWS_SECRET_ACCESS_KEY"]
		if round > 0 && keys != credentials {
			t.Error("the second run has other credentials")
		}
		credentials = keys

		url := request(t, "GET", env["ONCEGATE_URL"]+"/url", 200)
		request(t, "PUT", url, 200)
		request(t, "PUT", url, 403)
		if round == 0 {
			spent = strings.TrimPrefix(url, env["ONCEGATE_URL"])
		} else {
			request(t, "PUT", env["ONCEGATE_URL"]+spent, 403)
		}
		for _, secret := range []string{env["AWS_SECRET_ACCESS_KEY"], "X-Amz-Signature"} {
			if strings.Contains(stdout.String()+stderr.String(), secret) {
				t.Error("a secret was printed")
			}
		}
		if !strings.Contains(stderr.String(), "gate: refused reason=used ") || strings.Contains(stderr.String(), "{") {
			t.Errorf("the function's log is not readable: %s", stderr)
		}

		began := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stopped with %v", err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("stopping took %v", took)
		}
		if !strings.Contains(stdout.String(), "resident memory ") {
			t.Errorf("no word of memory: %s", stdout)
		}
		if _, err := http.Get(env["AWS_ENDPOINT_URL_S3"]); err == nil {
			t.Error("S3 still answers")
		}
		if _, err := os.Stat(filepath.Join(data, "env")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("env names dead ports: %v", err)
		}
	}
}

func TestDevSaysWhyTheEdgeCodeDoesNotRun(t *testing.T) {
	t.Chdir(root)
	template, settings := assembly(t, nil)
	if err := os.WriteFile(filepath.Join(filepath.Dir(settings), "index.mjs"), []byte(`throw new Error('on purpose')`), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	err := run(t.Context(), []string{"dev", "--template", template, "--data", t.TempDir(), "--port", "0", "--s3-port", "0"}, &stdout, &stderr)
	if err == nil || !strings.Contains(err.Error(), "HEAD /url with 503: the lines above say why") || !strings.Contains(stderr.String(), "on purpose") {
		t.Errorf("got %v, stderr %s", err, stderr.String())
	}
}

// TestDevRefusesBrokenTemplates breaks one thing at a time; the cause is named.
func TestDevRefusesBrokenTemplates(t *testing.T) {
	t.Chdir(root)
	for _, tt := range []struct {
		name   string
		change func(*testbed.Templates)
		want   string
	}{
		{"a permission less", func(t *testbed.Templates) { testbed.Without(t.RolePolicy("Gate"), "TellAbsentEntries") },
			"permissions: oncegate-gate lacks: Allow s3:ListBucket on arn:aws:s3:::bucket-of-the-test"},
		{"a permission more", func(t *testbed.Templates) {
			t.RolePolicy("Mint")["Statement"].([]any)[0].(testbed.Object)["Action"] = "s3:*"
		}, "permissions: oncegate-mint has what it does not need: Allow s3:* on "},
		{"forwarding of its own", testbed.ForwardingLess("content-type"), "forwarding: the default behavior has origin request policy"},
		{"no gate", func(t *testbed.Templates) { delete(t.DefaultBehavior(), "LambdaFunctionAssociations") },
			"associations: the default behavior has 0 Lambda"},
		{"no versioning", func(t *testbed.Templates) {
			delete(t.Bucket.Properties("AWS::S3::Bucket", ""), "VersioningConfiguration")
		}, "bucket: versioning is not enabled"},
		{"an origin access control", originAccessControl, "origin: an origin access control or identity signs requests that are signed already"},
		{"a bucket policy statement less", func(t *testbed.Templates) { testbed.Without(t.BucketPolicy(), "ClaimsAreConditional") },
			"bucket policy: does not say: Deny s3:PutObject on "},
		{"an unknown resource", func(t *testbed.Templates) {
			t.Edge["Resources"].(testbed.Object)["Topic"] = testbed.Object{"Type": "AWS::Lambda::Permission", "Properties": testbed.Object{}}
		}, "resource Topic has type AWS::Lambda::Permission, which is not understood"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template, _ := assembly(t, tt.change)
			out, err := runVerb(t, "dev", "--template", template, "--data", t.TempDir(), "--port", "0", "--s3-port", "0")
			if err == nil || !strings.Contains(err.Error(), tt.want) || out != "" {
				t.Errorf("got %v %s, want %q", err, out, tt.want)
			}
		})
	}
}

func originAccessControl(t *testbed.Templates) {
	t.Edge["Resources"].(testbed.Object)["Control"] = testbed.Object{
		"Type": "AWS::CloudFront::OriginAccessControl",
		"Properties": testbed.Object{"OriginAccessControlConfig": testbed.Object{
			"Name": "control", "OriginAccessControlOriginType": "s3", "SigningBehavior": "always", "SigningProtocol": "sigv4",
		}},
	}
	t.Origin()["OriginAccessControlId"] = testbed.Object{"Fn::GetAtt": []any{"Control", "Id"}}
}

func readEnv(t *testing.T, path string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "'\n"), "='")
		if !ok || !strings.HasPrefix(name, "export ") {
			t.Fatalf("line %q", line)
		}
		env[strings.TrimPrefix(name, "export ")] = value
	}
	return env
}

func request(t *testing.T, method, url string, want int) string {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err == nil && method == "PUT" {
		req, err = http.NewRequest(method, url, strings.NewReader("a photo"))
	}
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		t.Fatalf("%s: got %d %s, want %d (%v)", method, res.StatusCode, body, want, err)
	}
	return string(body)
}

func TestLogLines(t *testing.T) {
	var b strings.Builder
	log := slog.New(newLineHandler(&b))
	f := log.With("function", "oncegate-gate")
	f.Info(`{"timestamp":"t","level":"INFO","message":"passed","function":"gate","id":"0123456789abcdef","key":"uploads/x","n":2}`)
	f.Info(`{"level":"ERROR","message":"broken","err":"x"}`)
	f.Info(`{"no":"message"}`)
	f.Info(`{"half`)
	f.Info("plain")
	f.Info(`{"message":"refused","key":"uploads/x\u000agate: passed id=0123456789ab","by":"\u001b[2J\u202e"}`)
	f.Info("a\ngate: passed")
	log.Warn("late version", "key", "uploads/\x1b[1A\ngate: passed", "err", errors.New("a\nb"))
	log.Error("the invocation failed", "function", "oncegate-mint", "request", "r", "err", errors.New("why"))
	log.Debug("nothing")
	const want = `gate: passed id=0123456789ab key=uploads/x n=2
gate: broken level=ERROR err=x
gate: {"no":"message"}
gate: {"half
gate: plain
gate: refused key=uploads/x\u000agate: passed id=0123456789ab by=\u001b[2J\u202e
gate: a\u000agate: passed
late version key=uploads/\u001b[1A\u000agate: passed: a\u000ab
mint: the invocation failed request=r: why
`
	if b.String() != want {
		t.Errorf("got\n%s, want\n%s", b.String(), want)
	}
}

// TestLatest: the rows that were minted last, newest first, in whatever order they come.
func TestLatest(t *testing.T) {
	row := func(id string, minute int) onetime.Status {
		if minute == 0 {
			return onetime.Status{ID: onetime.ID(id)}
		}
		return onetime.Status{ID: onetime.ID(id), Entry: &onetime.ValidEntry{Created: time.Unix(int64(minute)*60, 0)}}
	}
	l := latest{most: 3}
	for i, minute := range []int{4, 0, 9, 1, 7, 7, 2} {
		l.add(row(strconv.Itoa(i), minute))
	}
	var got []string
	for _, s := range l.rows {
		got = append(got, string(s.ID))
	}
	if want := "2 5 4"; strings.Join(got, " ") != want && strings.Join(got, " ") != "2 4 5" {
		t.Errorf("%v, want %s", got, want)
	}
	one := latest{most: 1}
	one.add(row("a", 1))
	one.add(row("b", 0))
	if len(one.rows) != 1 || one.rows[0].ID != "a" {
		t.Errorf("%v, want a", one.rows)
	}
}
