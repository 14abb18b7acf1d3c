package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/api"
)

func regional(s *testbed.Setup) { s.Settings["runtime"] = "regional" }

// TestRegionalFaults makes the way from the stub to the regional function fail: once
// the second try must find the first one's claim, twice the answer is a refusal that
// says what is known.
func TestRegionalFaults(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "it chooses its runtime")
	for mode, options := range map[string][]testbed.Option{"conditional": {regional}, "listed": {regional, testbed.Listed}} {
		t.Run(mode, func(t *testing.T) {
			st := testbed.New(t, options...)
			for _, fault := range []api.Fault{
				{Status: http.StatusTooManyRequests}, {Status: 500}, {Status: 503},
				{Lose: true}, {Lose: true, Applied: true},
			} {
				for times := 1; times <= 2; times++ {
					t.Run(fmt.Sprintf("%+v, %d times", fault, times), func(t *testing.T) {
						m := st.Mint(t)
						var calls int
						st.Lambda.SetIntercept(func(function string) api.Fault {
							if calls++; calls <= times {
								return fault
							}
							return api.Fault{}
						})
						a := st.Do(t, http.MethodPut, m.URL, nil, strings.NewReader("a body"))
						st.Lambda.SetIntercept(nil)
						claims := testbed.Claims(t, st.Records(), m.ID)
						stored, _ := st.Versions(t, m.Key)
						switch {
						case a.Status == http.StatusOK:
							// A connection that was lost is only tried again if it was an old
							// one: of a new one nobody knows what became of the request.
							if times > 1 || claims != 1 || stored != 1 {
								t.Errorf("passed with %d claims, %d objects", claims, stored)
							}
						case a.Status != http.StatusServiceUnavailable || stored != 0:
							t.Errorf("%v, %d objects", a, stored)
						case a.Reason() == "index-unavailable" && claims != 0:
							t.Errorf("%v, and %d claims", a, claims)
						case a.Reason() != "index-unavailable" && a.Reason() != "claim-unknown":
							t.Errorf("%v", a)
						case times == 1 && fault.Status != 0:
							t.Errorf("a second try would have passed: %v", a)
						}
						if fault.Status == http.StatusTooManyRequests && times == 2 && a.Reason() != "index-unavailable" {
							t.Errorf("throttled twice, so nothing ran: %v", a)
						}
						again := st.Do(t, http.MethodPut, m.URL, nil, strings.NewReader("another body"))
						if passed := again.Status == http.StatusOK; passed != (claims == 0) {
							t.Errorf("with %d claims the next upload is answered %v", claims, again)
						}
					})
				}
			}
		})
	}
}

// TestRegionalPermission: the stub needs its one permission to ask.
func TestRegionalPermission(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "it chooses its runtime")
	st := testbed.New(t, regional)
	m := st.Mint(t)
	st.Lambda.Callers = nil // as if the roles had been made anew
	if a := st.Do(t, http.MethodPut, m.URL, nil, strings.NewReader("x")); a.Status != http.StatusServiceUnavailable || a.Reason() != "index-unavailable" {
		t.Errorf("%v", a)
	}
	if n := testbed.Claims(t, st.Records(), m.ID); n != 0 {
		t.Errorf("%d claims", n)
	}
}
