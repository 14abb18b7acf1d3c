package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
)

// badAnswer is one way in which S3 can fail to give a clear answer. Each is
// played twice: before the request reaches the store ("not applied, error") and
// after ("applied, answer lost").
type badAnswer struct {
	name  string
	fault s3server.Fault
}

func badAnswers() []badAnswer {
	var all []badAnswer
	for _, status := range []int{403, 404, 409, 412, 429, 500, 503} {
		all = append(all, badAnswer{fmt.Sprint(status), s3server.Fault{Kind: s3server.Answer, Status: status}})
	}
	return append(all,
		badAnswer{"dropped", s3server.Fault{Kind: s3server.Drop}},
		badAnswer{"silence", s3server.Fault{Kind: s3server.Hang}},
		badAnswer{"cut short", s3server.Fault{Kind: s3server.Truncate, Body: `{"version":1`}},
		badAnswer{"garbage", s3server.Fault{Kind: s3server.Answer, Status: 500, Body: "\x00\xff<not><xml>"}},
		badAnswer{"another's page", s3server.Fault{Kind: s3server.Answer, Status: 511, Body: "<html>log in first</html>"}},
	)
}

// gateRequests are the requests that a gate makes, by method and key.
var gateRequests = map[string]func(r *http.Request) bool{
	"GET valid": func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/valid/")
	},
	"HEAD expired": func(r *http.Request) bool { return r.Method == http.MethodHead },
	"PUT expired": func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/expired/")
	},
	"GET expired": func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/expired/")
	},
	"LIST expired": func(r *http.Request) bool { return r.URL.Query().Has("versions") },
}

// TestGateFaults makes each request of the gate fail in each way, once or always,
// and checks what was let through and what was spent.
func TestGateFaults(t *testing.T) {
	testbed.IndexInBucketOnly(t, "its faults are those of requests to the bucket's index: TestTableFaults has the table's")
	for mode, options := range map[string][]testbed.Option{"conditional": nil, "listed": {testbed.Listed}} {
		t.Run(mode, func(t *testing.T) {
			st := testbed.New(t, options...)
			t.Run("cases", func(t *testing.T) { // so that the stack outlives its parallel cases
				for request, matches := range gateRequests {
					if request == "LIST expired" && mode != "listed" {
						continue
					}
					for _, bad := range badAnswers() {
						for _, applied := range []bool{false, true} {
							for _, always := range []bool{false, true} {
								name := fmt.Sprintf("%s %s applied=%v always=%v", request, bad.name, applied, always)
								t.Run(name, func(t *testing.T) {
									t.Parallel()
									f := bad.fault
									f.Apply = applied
									gateFault(t, st, request, matches, f, always)
								})
							}
						}
					}
				}
			})
		})
	}
}

func gateFault(t *testing.T, st *testbed.Stack, request string, matches func(*http.Request) bool, f s3server.Fault, always bool) {
	m := st.Mint(t)
	var played, claims atomic.Int32
	st.FaultOn(string(m.ID), func(r *http.Request) s3server.Fault {
		if gateRequests["PUT expired"](r) {
			// A claim is only read back after its answer got lost, so for that
			// request the first claim's answer is lost as well.
			if n := claims.Add(1); request == "GET expired" && n == 1 {
				return s3server.Fault{Kind: s3server.Drop, Apply: true}
			}
		}
		if matches(r) && (always || played.Load() == 0) {
			played.Add(1)
			return f
		}
		return s3server.Fault{}
	})
	first := st.Put(t, m, "first")
	st.FaultOn(string(m.ID), nil)
	if played.Load() == 0 {
		t.Fatalf("the request was never made, so nothing failed: %v", first)
	}
	spent := testbed.Claims(t, st.Records(), m.ID)
	objects, _ := st.Versions(t, m.Key)
	if spent > 1 {
		t.Errorf("%d versions of the expired entry", spent)
	}

	switch {
	case first.Status == http.StatusOK:
		if spent != 1 || objects != 1 {
			t.Errorf("passed with %d claims and %d objects, want one of each", spent, objects)
		}
	case objects != 0:
		t.Errorf("refused (%v), but an object was stored", first)
	case first.Reason() == "index-unavailable":
		if spent != 0 {
			t.Error("index-unavailable, but the URL is spent")
		}
		if first.Header.Get("Retry-After") == "" {
			t.Error("index-unavailable without retry-after")
		}
	case first.Reason() == "claim-unknown":
		if first.Header.Get("Retry-After") != "" {
			t.Error("claim-unknown with retry-after")
		}
	case first.Reason() == "used" || first.Reason() == "unknown":
		// S3 answered 412 or 404 in so many words; it lied, nobody got through.
	default:
		t.Errorf("%v, want a refusal with a known reason", first)
	}

	second := st.Put(t, m, "second")
	third := st.Put(t, m, "third")
	passed := 0
	for _, a := range []testbed.Answer{first, second, third} {
		if a.Status == http.StatusOK {
			passed++
		}
	}
	if objects, _ = st.Versions(t, m.Key); passed > 1 || objects != passed {
		t.Errorf("%d passed and %d objects stored (%v; %v; %v), want at most one and as many", passed, objects, first, second, third)
	}
	if spent == 0 && second.Status != http.StatusOK {
		t.Errorf("nothing was spent, but the next PUT is refused: %v", second)
	}
	if spent == 1 && (second.Status != http.StatusForbidden || second.Reason() != "used") {
		t.Errorf("the URL is spent, but the next PUT gets %v, want 403 used", second)
	}
	st.WantClaims(t, m.ID, 1)
}

// TestMintFaults: a URL is returned only if it is certainly registered.
func TestMintFaults(t *testing.T) {
	testbed.IndexInBucketOnly(t, "its faults are those of requests to the bucket's index: TestTableFaults has the table's")
	st := testbed.New(t)
	for _, bad := range badAnswers() {
		for _, applied := range []bool{false, true} {
			for _, always := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s applied=%v always=%v", bad.name, applied, always), func(t *testing.T) {
					f := bad.fault
					f.Apply = applied
					played := 0
					st.EveryRequest(func(r *http.Request) s3server.Fault {
						if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/valid/") && (always || played == 0) {
							played++
							return f
						}
						return s3server.Fault{}
					})
					a := st.Do(t, http.MethodGet, st.Edge.URL()+"/url", nil, nil)
					st.EveryRequest(nil)
					if played == 0 {
						t.Fatal("the request was never made, so nothing failed")
					}
					if a.Status != http.StatusOK {
						if a.Status != http.StatusServiceUnavailable || a.Reason() != "index-unavailable" || strings.Contains(a.Body, "X-Amz") {
							t.Errorf("%v, want 503 index-unavailable and no URL", a)
						}
						return
					}
					if always {
						t.Errorf("a URL was handed out though its entry was never acknowledged")
					}
					m := testbed.ParseMinted(t, a.Body)
					if versions, _ := st.Versions(t, m.ID.ValidKey()); versions == 0 {
						t.Error("a URL was handed out that the index does not know")
					}
					if a := st.Put(t, m, "x"); a.Status != http.StatusOK {
						t.Errorf("the URL does not work: %v", a)
					}
				})
			}
		}
	}
}

// TestSilentStore: S3 takes an upload and says nothing for as long as CloudFront waits,
// which here is what an edited template says. The uploader gets CloudFront's 504, the URL is
// spent, and nobody sends the upload again.
func TestSilentStore(t *testing.T) {
	st := testbed.New(t, func(s *testbed.Setup) {
		s.Template = func(t *testbed.Templates) { t.Origin()["S3OriginConfig"].(object)["OriginReadTimeout"] = 1 }
	})
	for _, applied := range []bool{false, true} {
		t.Run(fmt.Sprintf("applied=%v", applied), func(t *testing.T) {
			m := st.Mint(t)
			var arrived atomic.Int32
			st.FaultOn(m.Name, func(r *http.Request) s3server.Fault {
				if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/"+m.Key) {
					arrived.Add(1)
					return s3server.Fault{Kind: s3server.Hang, Apply: applied}
				}
				return s3server.Fault{}
			})
			began := time.Now()
			a := st.Put(t, m, "a body")
			if waited := time.Since(began); waited < time.Second || waited > 20*time.Second { // 30 are CloudFront's own
				t.Errorf("CloudFront waited for %v", waited)
			}
			st.FaultOn(m.Name, nil)
			if a.Status != http.StatusGatewayTimeout || a.Reason() != "" || a.Header.Get("X-Cache") != "Error from cloudfront" {
				t.Errorf("%v, want CloudFront's 504", a)
			}
			if n := arrived.Load(); n != 1 {
				t.Errorf("the upload was sent %d times", n)
			}
			stored := 0
			if applied {
				stored = 1
			}
			st.WantVersions(t, m.Key, stored)
			st.WantClaims(t, m.ID, 1)
			if again := st.Put(t, m, "again"); again.Status != http.StatusForbidden || again.Reason() != "used" {
				t.Errorf("%v, want 403 used", again)
			}
		})
	}
}
