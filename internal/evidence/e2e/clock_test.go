package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
	"oncegate/internal/onetime"
)

// TestClocksApart: S3 says another time than the functions' clock. Beyond half a minute,
// in either direction, mint hands out nothing, the gate spends nothing, and the log says
// why. The same URL is good when the clocks agree again.
func TestClocksApart(t *testing.T) {
	st := testbed.New(t)
	for _, test := range []struct {
		skew time.Duration
		log  string
	}{
		{25 * time.Second, ""},
		{-25 * time.Second, ""},
		{time.Minute, "s behind the index's"},
		{-time.Minute, "s ahead of the index's"},
		{14 * time.Minute, "s behind the index's"},
		{-14 * time.Minute, "s ahead of the index's"},
	} {
		t.Run(test.skew.String(), func(t *testing.T) {
			m := st.Mint(t)
			logged := len(st.Log())
			st.EveryRequest(func(*http.Request) s3server.Fault {
				return s3server.Fault{Kind: s3server.Redate, Skew: test.skew, Apply: true}
			})
			mint := st.Do(t, http.MethodGet, st.Edge.URL()+"/url", nil, nil)
			put := st.Put(t, m, "x")
			st.EveryRequest(nil)
			if test.log == "" {
				if mint.Status != http.StatusOK || put.Status != http.StatusOK {
					t.Errorf("mint %v, upload %v; both are to be borne", mint, put)
				}
				return
			}
			wantClockRefusal(t, mint, put)
			for end := time.Now().Add(30 * time.Second); strings.Count(st.Log()[logged:], test.log) < 2; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) { // lines come after the answer
					t.Fatalf("logged %q, want %q for both", st.Log()[logged:], test.log)
				}
			}
			st.WantClaims(t, m.ID, 0)
			if again := st.Put(t, m, "x"); again.Status != http.StatusOK {
				t.Errorf("nothing was spent, and yet: %v", again)
			}
		})
	}
}

func wantClockRefusal(t *testing.T, answers ...testbed.Answer) {
	t.Helper()
	for _, a := range answers {
		if a.Status != http.StatusServiceUnavailable || a.Reason() != string(onetime.IndexUnavailable) || a.Header.Get("Retry-After") == "" {
			t.Errorf("%v, want 503 index-unavailable, to be tried again", a)
		}
	}
}

// TestWrongClock gives the edge itself a wrong clock, and leaves S3's alone: S3 judges
// the upload signature by its own, and would refuse one from two minutes ago when the URL
// is spent already.
func TestWrongClock(t *testing.T) {
	var file string
	st := testbed.New(t, func(s *testbed.Setup) {
		s.Artifact = func(dir string) error {
			file = filepath.Join(dir, "skew")
			return wrongClock(dir)
		}
	})
	set := func(skew time.Duration) {
		if err := os.WriteFile(file, fmt.Append(nil, skew.Milliseconds()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, skew := range []time.Duration{0, 25 * time.Second, -25 * time.Second, 2 * time.Minute, -2 * time.Minute, 14 * time.Minute, -14 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			set(0)
			m := st.Mint(t)
			set(skew)
			mint := st.Do(t, http.MethodGet, st.Edge.URL()+"/url", nil, nil)
			put := st.Put(t, m, "x")
			set(0)
			claims := 1
			if skew.Abs() > time.Minute {
				claims = 0
				wantClockRefusal(t, mint, put)
			} else if mint.Status != http.StatusOK || put.Status != http.StatusOK {
				t.Errorf("mint %v, upload %v; both are to be borne", mint, put)
			}
			st.WantClaims(t, m.ID, claims)
			if again := st.Put(t, m, "x"); (again.Status == http.StatusOK) != (claims == 0) {
				t.Errorf("after %d claims: %v", claims, again)
			}
		})
	}
}

// wrongClock makes the Go program of the artifact in dir take the file skew, in
// milliseconds, into its time. What is left of an invocation's time is by Lambda's clock,
// and stays right.
func wrongClock(dir string) error {
	name := filepath.Join(dir, "wasm_exec.js")
	glue, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	const now = "(new Date).getTime()"
	if n := strings.Count(string(glue), now); n != 1 {
		return fmt.Errorf("%s has %q %d times", name, now, n)
	}
	file := filepath.Join(dir, "skew")
	patched := strings.Replace(string(glue), now, fmt.Sprintf("%s + Number(process.getBuiltinModule('node:fs').readFileSync(%q, 'utf8'))", now, file), 1)
	if err := os.WriteFile(file, []byte("0"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(patched), 0o600)
}
