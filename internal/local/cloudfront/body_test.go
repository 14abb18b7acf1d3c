package cloudfront

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func includeBodies(o *Options) {
	for i := range o.Distribution.Behaviors {
		o.Distribution.Behaviors[i].IncludeBody = true
	}
}

// TestIncludedBody: the function gets the first 40 KB, the origin gets it all.
func TestIncludedBody(t *testing.T) {
	const module = `
import { createHash } from 'node:crypto';
export const gate = async (event) => {
	const { body } = event.Records[0].cf.request;
	const data = Buffer.from(body.data, 'base64');
	console.log([Object.keys(body).sort(), body.inputTruncated, body.action, body.encoding, data.length, createHash('sha256').update(data).digest('hex')].join(' '));
	return event.Records[0].cf.request;
}`
	f := start(t, module, func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		w.Header().Set("X-Amz-Version-Id", fmt.Sprintf("%d %x %v", n, sum.Sum(nil), err))
	}, includeBodies)
	for _, size := range []int{0, 1, 40<<10 - 1, 40 << 10, 40<<10 + 1, 1 << 20} {
		body := strings.Repeat("é\xff\x00", size/4+1)[:size]
		res := f.do("PUT", "/x", strings.NewReader(body))
		readAll(t, res)
		if got, want := res.Header.Get("X-Amz-Version-Id"), fmt.Sprintf("%d %x <nil>", size, sha256.Sum256([]byte(body))); got != want {
			t.Errorf("%d bytes: the origin got %q, want %q", size, got, want)
		}
		seen := body[:min(size, 40<<10)]
		want := fmt.Sprintf("action,data,encoding,inputTruncated %t read-only base64 %d %x", size > 40<<10, len(seen), sha256.Sum256([]byte(seen)))
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("%d bytes: the function did not see %s", size, want)
		}
	}
}

// TestIncludedBodyOfTheReturnedRequest: only what leaves the body alone is played.
func TestIncludedBodyOfTheReturnedRequest(t *testing.T) {
	for action, want := range map[string]int{"'read-only'": 200, "'replace'": 502, "undefined": 502, "5": 502} {
		module := `export const gate = async (event) => { const r = event.Records[0].cf.request; r.body.action = ` + action + `; r.body.data = ''; return r }`
		f := start(t, module, func(w http.ResponseWriter, r *http.Request) {
			if b, _ := io.ReadAll(r.Body); string(b) != "abc" {
				t.Errorf("%s: the origin got %q", action, b)
			}
		}, includeBodies)
		if res := f.do("PUT", "/x", strings.NewReader("abc")); res.StatusCode != want {
			t.Errorf("%s: status %d, want %d", action, res.StatusCode, want)
		}
	}
	f := start(t, `export const gate = async (event) => ({ ...event.Records[0].cf.request, body: { action: 'read-only' } })`, noOrigin(t))
	if res := f.do("PUT", "/x", strings.NewReader("abc")); res.StatusCode != 502 {
		t.Errorf("a body where none is included: status %d, want 502", res.StatusCode)
	}
}
