package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
)

// TestLogsHoldNoSecrets has every request of a mint, a gate, an upload and an acceptance
// fail in every way, also with an answer that repeats all that S3 was sent, as its own
// error documents do with a part of it. Then it looks for session tokens, signatures and
// keys in all that was logged, debug lines included (testbed does that for every test). Each line of a function is one JSON object with its message in front.
func TestLogsHoldNoSecrets(t *testing.T) {
	for name, options := range map[string][]testbed.Option{
		"edge": nil, "regional": {regional}, "accepting": {testbed.Accepting, hasty},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := testbed.New(t, options...)
			var played int
			bad := append(badAnswers(), badAnswer{name: "an echo"})
			for _, b := range bad {
				if b.name == "silence" {
					continue // its time is over, and nothing is said
				}
				for _, where := range []string{"mint", "index", "upload"} {
					fault := func(r *http.Request) s3server.Fault {
						played++
						if b.name == "an echo" {
							return s3server.Fault{Kind: s3server.Answer, Status: 400, Body: "<Error><Code>X</Code><Message>" + r.RequestURI + fmt.Sprint(r.Header) + "</Message></Error>"}
						}
						return b.fault
					}
					if where == "mint" {
						st.EveryRequest(fault)
						st.Do(t, http.MethodGet, st.Edge.URL()+"/url", nil, nil)
						st.EveryRequest(nil)
						continue
					}
					m := st.Mint(t)
					object := string(m.ID)
					if where == "upload" {
						object = m.Name
					}
					st.FaultOn(object, fault)
					send(t, m.URL)
					st.FaultOn(object, nil)
				}
			}
			if played < 3*(len(bad)-1) {
				t.Errorf("only %d requests failed", played)
			}
			refused := 0
			for line := range strings.Lines(st.Log()) {
				_, said, ok := strings.Cut(line, `msg="{`)
				if !ok {
					continue
				}
				text, _, _ := strings.Cut(`"{`+said, `" function=`)
				var quoted string
				var fields map[string]any
				err := json.Unmarshal([]byte(text+`"`), &quoted)
				if err == nil {
					err = json.Unmarshal([]byte(quoted), &fields)
				}
				if err != nil {
					t.Errorf("%v in %s", err, line)
				} else if message, ok := fields["message"].(string); !ok || strings.HasPrefix(message, "{") {
					t.Errorf("no message in %s", line)
				} else if message == "refused" && fields["error"] != nil {
					refused++
				}
			}
			if refused < 10 {
				t.Errorf("only %d refusals with their cause were logged, so little was looked at", refused)
			}
		})
	}
}

// send makes a PUT whatever comes of it. S3's own answer to an upload goes to the viewer as
// it is, and may be cut short.
func send(t *testing.T, url string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader("a body"))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	if response, err := http.DefaultTransport.RoundTrip(r); err == nil {
		response.Body.Close()
	}
}
