package cloudfront

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// patient waits for a viewer however slow the machine is.
func patient(o *Options) { o.patience = patience{time.Minute, time.Minute} }

// TestAnsweredBeforeTheBody: a viewer that sends all of its body before it reads
// gets the answer that was there long before, whoever gave it.
func TestAnsweredBeforeTheBody(t *testing.T) {
	const refuse = `export const gate = async () => ({ status: '403', headers: {}, body: 'no' })`
	tests := []struct {
		name, module, target string
		status               int
		changes              []change
	}{
		{"the function", refuse, "/x", 403, nil},
		{"the function, with the body's beginning", refuse, "/x", 403, []change{includeBodies}},
		{"the edge", pass, "http://elsewhere/x", 400, nil},
		{"the edge, for a broken function", `export const gate = async () => 1`, "/x", 502, nil},
		{"the origin", pass, "/x", 411, nil},
	}
	// More than the buffers of a connection hold, so that it cannot be sent unread.
	body := make([]byte, 24<<20)
	framings := map[string][]byte{
		"Content-Length: " + fmt.Sprint(len(body)): body,
		"Transfer-Encoding: chunked":               fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", len(body), body),
		// A client may send without being told to (RFC 9110, 10.1.1).
		"Expect: 100-continue\r\nContent-Length: " + fmt.Sprint(len(body)): body,
	}
	for _, tt := range tests {
		f := start(t, tt.module, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusLengthRequired)
		}, append(tt.changes, patient)...)
		for framing, sent := range framings {
			conn := f.dial()
			var head bytes.Buffer
			fmt.Fprintf(&head, "PUT %s HTTP/1.1\r\nHost: d111111abcdef8.cloudfront.net\r\n%s\r\n\r\n", tt.target, framing)
			if _, err := conn.Write(head.Bytes()); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(sent); err != nil {
				t.Errorf("%s, %q: sending the body: %v", tt.name, framing, err)
				continue
			}
			answers := bufio.NewReader(conn)
			res, err := http.ReadResponse(answers, &http.Request{Method: http.MethodPut})
			if err == nil && res.StatusCode == http.StatusContinue {
				res, err = http.ReadResponse(answers, &http.Request{Method: http.MethodPut})
			}
			if err != nil || res.StatusCode != tt.status {
				t.Errorf("%s, %q: %v, %v, want %d", tt.name, framing, res, err, tt.status)
			}
		}
	}
}
