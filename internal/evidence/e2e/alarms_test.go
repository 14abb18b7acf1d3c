package e2e

import (
	"maps"
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

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// outage is one thing that fails, and the alarms that go off for it.
type outage struct {
	name    string
	options []testbed.Option
	// play has the thing fail, and viewers meet it.
	play func(t *testing.T, st *testbed.Stack)
	want []string
}

// edgeCode replaces one function at the edge by other code.
func edgeCode(export string) testbed.Option {
	return func(s *testbed.Setup) {
		s.Artifact = func(dir string) error {
			index := filepath.Join(dir, "index.mjs")
			if err := os.Rename(index, filepath.Join(dir, "real.mjs")); err != nil {
				return err
			}
			name, _, _ := strings.Cut(export, " ")
			other := map[string]string{"mint": "gate", "gate": "mint"}[name]
			return os.WriteFile(index, []byte("export { "+other+" } from './real.mjs';\nexport const "+export+";\n"), 0o644)
		}
	}
}

// dying has a function of the bucket's Region end before it answers.
func dying(function string) testbed.Option {
	return func(s *testbed.Setup) {
		s.Deployment = func(d *cfn.Deployment) {
			dir, err := os.MkdirTemp(filepath.Dir(d.Regional[function].Directory), "dying")
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "bootstrap"), []byte("#!/bin/sh\nexit 1\n"), 0o755)
			}
			if err != nil {
				panic(err)
			}
			d.Regional[function].Directory = dir
		}
	}
}

// unhurried gives functions half a minute. A function that comes too late because the machine is
// busy is a failure, and the alarms are right to tell it.
func unhurried(s *testbed.Setup) { s.Settings["timeout"] = 30 }

func hurried(s *testbed.Setup) { s.Settings["timeout"] = 5 }

// hasty gives a message up after a few seconds. What works must have answered before.
func hasty(s *testbed.Setup) { s.Jobs.Visibility = time.Second }

func hooked(s *testbed.Setup) {
	s.Settings["acceptance"] = map[string]any{"webhook": map[string]string{"url": "http://127.0.0.1:9/in", "secret": "/test/key"}}
	s.Jobs.Parameters = map[string]string{"/test/key": "a made-up key of signatures"}
}

// fails is a PUT with a fresh URL that is answered with this status.
func fails(status int) func(*testing.T, *testbed.Stack) {
	return func(t *testing.T, st *testbed.Stack) {
		t.Helper()
		m := st.Mint(t)
		a := st.Put(t, m, "a body")
		if status == http.StatusOK && a.Status != status {
			a = testbed.Patiently(func() testbed.Answer { return st.Put(t, m, "a body") })
		}
		if a.Status != status {
			t.Fatalf("%v, want %d", a, status)
		}
	}
}

// mintFails is a mint that is answered with this status.
func mintFails(status int) func(*testing.T, *testbed.Stack) {
	return func(t *testing.T, st *testbed.Stack) {
		t.Helper()
		if a := st.Do(t, http.MethodGet, st.Edge.URL()+"/url", nil, nil); a.Status != status {
			t.Fatalf("%v, want %d", a, status)
		}
	}
}

func throttle(function string, then func(*testing.T, *testbed.Stack)) func(*testing.T, *testbed.Stack) {
	return func(t *testing.T, st *testbed.Stack) {
		t.Helper()
		st.Lambda.Functions[function].Throttle(true)
		then(t, st)
	}
}

// inBucket keeps the index in the bucket, where an outage does not say otherwise.
func inBucket(s *testbed.Setup) { s.Settings["index"] = config.IndexS3 }

// tableRefuses has the table answer every request of this operation with a refusal.
func tableRefuses(operation, code string) testbed.Option {
	return func(s *testbed.Setup) {
		s.Table.Fault = func(r dynamoserver.Request) dynamoserver.Fault {
			if r.Operation != operation {
				return dynamoserver.Fault{}
			}
			return dynamoserver.Fault{Kind: dynamoserver.Answer, Code: code}
		}
	}
}

func outages() []outage {
	return []outage{
		{"nothing, though viewers are refused", nil, func(t *testing.T, st *testbed.Stack) {
			m := st.Mint(t)
			for _, status := range []int{200, 403} {
				if a := st.Put(t, m, "a body"); a.Status != status {
					t.Fatalf("%v, want %d", a, status)
				}
			}
		}, nil},
		{"spent URLs are replayed", []testbed.Option{func(s *testbed.Setup) { s.Settings["alarmRefusals"] = 2 }}, func(t *testing.T, st *testbed.Stack) {
			m := st.Mint(t)
			for _, status := range []int{200, 403, 403} {
				if a := testbed.Patiently(func() testbed.Answer { return st.Put(t, m, "a body") }); a.Status != status {
					t.Fatalf("%v, want %d", a, status)
				}
			}
		}, []string{"Refusals"}},
		{"S3 denies the gate", []testbed.Option{func(s *testbed.Setup) {
			s.Template = func(t *testbed.Templates) { testbed.Without(t.RolePolicy("Gate"), "WriteExpiredEntries") }
		}}, fails(503), []string{"Failures"}},
		{"S3 denies the mint", []testbed.Option{func(s *testbed.Setup) {
			s.Template = func(t *testbed.Templates) { testbed.Without(t.RolePolicy("Mint"), "WriteValidEntries") }
		}}, mintFails(503), []string{"Failures"}},
		{"S3 refuses the upload itself", nil, func(t *testing.T, st *testbed.Stack) {
			m := st.Mint(t)
			st.FaultOn(m.Name, func(*http.Request) s3server.Fault { return s3server.Fault{Kind: s3server.Answer, Status: 503} })
			if a := st.Put(t, m, "a body"); a.Status != 503 {
				t.Fatalf("%v", a)
			}
		}, []string{"Failures"}},
		{"fewer failures than the settings say", []testbed.Option{func(s *testbed.Setup) {
			s.Settings["alarmFailures"] = 2
			s.Template = func(t *testbed.Templates) { testbed.Without(t.RolePolicy("Gate"), "WriteExpiredEntries") }
		}}, fails(503), nil},
		{"the gate throws", []testbed.Option{edgeCode(`gate = () => { throw new Error('broken on purpose') }`)}, fails(503), []string{"Failures"}},
		{"the gate never ends", []testbed.Option{hurried, edgeCode(`gate = () => new Promise((r) => setTimeout(r, 60_000))`)},
			fails(503), []string{"Failures"}},
		{"the mint throws", []testbed.Option{edgeCode(`mint = () => { throw new Error('broken on purpose') }`)}, mintFails(503), []string{"Failures"}},
		{"the gate's answer is none", []testbed.Option{edgeCode(`gate = () => ({ status: 'broken' })`)}, fails(502), []string{"Failures"}},

		// CloudFront answers 503 for the function, and its rate of 5xx is that of all viewers'
		// requests. Lambda's own Throttles move in the Region of each edge, which no template knows.
		// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/http-503-service-unavailable.html
		// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/viewing-cloudfront-metrics.html
		{"the account is throttled at the edge", []testbed.Option{func(s *testbed.Setup) { s.Edge.Concurrency = 2 }}, func(t *testing.T, st *testbed.Stack) {
			m := st.Mint(t)
			var throttled atomic.Int64
			var race sync.WaitGroup
			for range 16 {
				race.Go(func() {
					if a := st.Put(t, m, "a body"); a.Status == http.StatusServiceUnavailable && a.Reason() == "" {
						throttled.Add(1)
					}
				})
			}
			if race.Wait(); throttled.Load() == 0 {
				t.Fatal("nobody was throttled")
			}
		}, []string{"Failures"}},

		{"the regional gate dies", []testbed.Option{regional, dying("oncegate-regional-gate")}, fails(503), []string{"Failures", "RegionalGateErrors"}},
		{"the regional mint dies", []testbed.Option{regional, dying("oncegate-regional-mint")}, mintFails(503), []string{"Failures", "RegionalMintErrors"}},
		{"the regional gate is throttled", []testbed.Option{regional}, throttle("oncegate-regional-gate", fails(503)), []string{"Failures", "RegionalGateThrottles"}},
		{"the regional mint is throttled", []testbed.Option{regional}, throttle("oncegate-regional-mint", mintFails(503)), []string{"Failures", "RegionalMintThrottles"}},

		{"DynamoDB throttles writes", []testbed.Option{testbed.InTable, tableRefuses("UpdateItem", dynamoserver.Throttled)}, mintFails(503),
			[]string{"Failures", "TableWriteThrottles"}},
		// The gate reads first where one request cannot decide, as with this type.
		{"DynamoDB throttles reads", []testbed.Option{testbed.InTable, tableRefuses("GetItem", dynamoserver.Exceeded)}, func(t *testing.T, st *testbed.Stack) {
			m := st.Mint(t)
			if a := st.Do(t, http.MethodPut, m.URL, http.Header{"Content-Type": {"text/*"}}, strings.NewReader("a body")); a.Status != 503 {
				t.Fatalf("%v", a)
			}
		}, []string{"Failures", "TableReadThrottles"}},
		{"DynamoDB has a fault", []testbed.Option{testbed.InTable, tableRefuses("UpdateItem", dynamoserver.Internal)}, mintFails(503),
			[]string{"Failures", "TableErrors"}},
		{"DynamoDB denies the gate", []testbed.Option{testbed.InTable, func(s *testbed.Setup) {
			s.Template = func(t *testbed.Templates) { testbed.Without(t.RolePolicy("Gate"), "SpendURLs") }
		}}, fails(503), []string{"Failures"}},

		{"acceptance dies", []testbed.Option{testbed.Accepting, hasty, dying("oncegate-accept")}, fails(200), []string{"AcceptErrors", "AcceptDead"}},
		{"acceptance is throttled", []testbed.Option{testbed.Accepting, hasty}, throttle("oncegate-accept", fails(200)), []string{"AcceptThrottles", "AcceptDead"}},
		{"S3 denies acceptance", []testbed.Option{testbed.Accepting, hasty, func(s *testbed.Setup) {
			s.Template = func(t *testbed.Templates) { testbed.Without(t.Bucket.Role("AcceptRole"), "WriteAccepted") }
		}}, fails(200), []string{"AcceptDead"}},
		{"somebody writes past the gate", []testbed.Option{testbed.Accepting}, func(t *testing.T, st *testbed.Stack) {
			m := st.Mint(t)
			if a := st.Put(t, m, "a body"); a.Status != 200 {
				t.Fatalf("%v", a)
			}
			if _, err := s3servertest.Client(st.S3).PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String(s3servertest.Bucket), Key: &m.Key, Body: strings.NewReader("another"),
			}); err != nil {
				t.Fatal(err)
			}
		}, []string{"LateVersions"}},
		{"a scan finds a threat", []testbed.Option{scanning, func(s *testbed.Setup) {
			s.Jobs.Scan = func(string, string) []local.ScanResult { return []local.ScanResult{{Status: "THREATS_FOUND"}} }
		}}, fails(200), []string{"Rejected"}},
		{"nobody scans", []testbed.Option{scanning, hasty, func(s *testbed.Setup) {
			s.Template = func(t *testbed.Templates) {
				delete(t.Bucket.Properties("AWS::S3::Bucket", "")["NotificationConfiguration"].(testbed.Object), "EventBridgeConfiguration")
			}
		}}, fails(200), []string{"AcceptDead"}},
		{"the webhook dies", []testbed.Option{hooked, hasty, dying("oncegate-webhook")}, fails(200), []string{"WebhookErrors", "WebhookDead"}},
		{"the webhook is throttled", []testbed.Option{hooked, hasty}, throttle("oncegate-webhook", fails(200)), []string{"WebhookThrottles", "WebhookDead"}},
	}
}

// TestOutagesRaiseAlarms breaks one thing after the other and shows which alarms of the
// templates that sets off, by the metrics that they are on: those, and no others. Every
// alarm goes off for something.
func TestOutagesRaiseAlarms(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "it chooses its runtime")
	const name = "oncegate-"
	var mu sync.Mutex
	all, heard := map[string]bool{}, map[string]bool{}
	t.Run("outages", func(t *testing.T) { // so that all are over before silence is judged
		for _, o := range outages() {
			t.Run(o.name, func(t *testing.T) {
				t.Parallel()
				st := testbed.New(t, append([]testbed.Option{inBucket, unhurried}, o.options...)...)
				before := st.Alarms(t)
				for alarm, off := range before {
					if off && !slices.Contains(o.want, strings.TrimPrefix(alarm, name)) {
						t.Errorf("%s goes off for nothing", alarm)
					}
				}
				o.play(t, st)
				off := goOff(t, st, len(o.want))
				want := slices.Clone(o.want)
				for i := range want {
					want[i] = name + want[i]
				}
				if slices.Sort(want); !slices.Equal(off, want) {
					t.Errorf("off go %v, want %v", off, want)
				}
				mu.Lock()
				defer mu.Unlock()
				for alarm := range before {
					all[alarm] = true
				}
				for _, alarm := range off {
					heard[alarm] = true
				}
			})
		}
	})
	// A message must wait for an hour for these.
	for _, alarm := range []string{"AcceptBehind", "WebhookBehind"} {
		heard[name+alarm] = true
	}
	if got, want := slices.Sorted(maps.Keys(heard)), slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
		t.Errorf("off went %v of %v", got, want)
	}
}

// goOff waits until so many alarms go off, and returns them. What was answered is counted a
// moment later, and messages are given up in their time.
func goOff(t *testing.T, st *testbed.Stack, n int) (off []string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		off = nil
		for alarm, on := range st.Alarms(t) {
			if on {
				off = append(off, alarm)
			}
		}
		// Where nothing goes off, a mint and a PUT have come to nothing.
		if len(off) >= n && (n > 0 || st.Requests() >= 2) || time.Now().After(end) {
			slices.Sort(off)
			return off
		}
	}
}
