package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"oncegate/edge"
	"oncegate/internal/onetime"
)

// scan looks at every answer of the run.
func (r *run) scan(wrong func(a *answer) (expected, got string)) error {
	if len(r.answers) == 0 {
		return skip("there was no answer to look at")
	}
	for _, a := range r.answers {
		if expected, got := wrong(a); got != "" {
			return want(expected, "%s, in the answer %v to %s", got, a, a.what)
		}
	}
	r.observe("%d answers", len(r.answers))
	return nil
}

func (r *run) refusalForm(context.Context) error {
	return r.scan(func(a *answer) (string, string) {
		reason := a.reason()
		if reason == "" {
			return "", ""
		}
		path, _, _ := strings.Cut(a.target, "?")
		status, known := edge.StatusOf(onetime.Reason(reason), path)
		start, text, form := http.StatusText(status)+": ", a.text, "text/plain"
		if strings.HasPrefix(path, "/s3/") { // Uppy reads JSON
			var answer struct{ Message string }
			json.Unmarshal([]byte(text), &answer)
			text, form = answer.Message, "application/json"
		}
		switch got := a.header.Get("Content-Type"); {
		case !known:
			return "a reason that docs/api.md names", strconv.Quote(reason)
		case a.status != status:
			return strconv.Itoa(status), strconv.Itoa(a.status)
		case !strings.HasPrefix(got, form):
			return "content-type " + form, strconv.Quote(got)
		case a.method != "HEAD" && (!strings.HasPrefix(text, start) || strings.Contains(text, "\n") || !strings.HasSuffix(text, ".")):
			return "one sentence after " + strconv.Quote(start), "another body"
		}
		return "", ""
	})
}

func (r *run) retryAfter(context.Context) error {
	seen := 0
	err := r.scan(func(a *answer) (string, string) {
		got := a.header.Get("Retry-After")
		switch {
		case onetime.Reason(a.reason()).Again():
			seen++
			if n, err := strconv.Atoi(got); err != nil || n < 0 {
				return "retry-after in seconds", strconv.Quote(got)
			}
		case a.reason() != "" && got != "":
			return "no retry-after", strconv.Quote(got)
		}
		return "", ""
	})
	if err == nil && seen == 0 {
		r.observe("neither among them")
	}
	return err
}

// generated reports whether a function made the answer, or should have.
func generated(a *answer) bool {
	return a.reason() != "" || a.method == "OPTIONS" || asksMint.MatchString(a.target) && a.status == 200
}

// minting reports whether the answer has a URL.
func minting(a *answer) bool {
	path, _, _ := strings.Cut(a.target, "?")
	return (path == "/url" || strings.HasPrefix(path, "/s3/")) && a.status == 200
}

func (r *run) noStore(context.Context) error {
	return r.scan(func(a *answer) (string, string) {
		if got := a.header.Get("Cache-Control"); generated(a) && !lists(got, "no-store") {
			return "cache-control: no-store", strconv.Quote(got)
		}
		return "", ""
	})
}

func (r *run) notCached(context.Context) error {
	return r.scan(func(a *answer) (string, string) {
		if got := a.header.Get("X-Cache"); strings.Contains(got, "Hit") {
			return "no hit", "x-cache: " + got
		}
		if got := a.header.Get("Age"); got != "" && got != "0" {
			return "no age", "age: " + got
		}
		return "", ""
	})
}

// leaks are what a canonical request, a presigned query, a signature header and
// the key of a role look like. S3 puts the first into the body of a
// SignatureDoesNotMatch.
var leaks = regexp.MustCompile(`CanonicalRequest|StringToSign|SignatureProvided|AWS4-HMAC-SHA256|(?i:x-amz-(signature|security-token|credential))|\b(ASIA|AKIA)[A-Z0-9]{16}\b`)

func (r *run) noLeak(context.Context) error {
	return r.scan(func(a *answer) (string, string) {
		text := a.text
		if minting(a) {
			text = "" // it has the URL
		}
		for name, values := range a.header {
			text += "\n" + name + ": " + strings.Join(values, ", ")
		}
		if _, value := r.o.Credential.Header(); value != "" && strings.Contains(a.text+text, value) {
			return "nothing of the credential", "the credential"
		}
		// Name the pattern, not the text: the report must not leak either.
		if found := leaks.FindString(text); found != "" {
			if strings.HasPrefix(found, "ASIA") || strings.HasPrefix(found, "AKIA") {
				found = "an access key id"
			}
			return "nothing of a signature", found
		}
		return "", ""
	})
}

func (r *run) functions(context.Context) error {
	err := r.scan(func(a *answer) (string, string) {
		if got := a.header.Get("X-Cache"); strings.HasPrefix(got, "Lambda") && strings.Contains(got, "Error") && !a.throttled() {
			return "no error of a function", "x-cache: " + got
		}
		return "", ""
	})
	if n := r.throttled(); err == nil && n > 0 {
		return &mismatch{expected: "no answer 503 by CloudFront itself", got: fmt.Sprintf("%d of %d", n, len(r.answers)), throttled: true}
	}
	return err
}

// throttled counts the answers of CloudFront's own.
func (r *run) throttled() int {
	n := 0
	for _, a := range r.answers {
		if a.throttled() {
			n++
		}
	}
	return n
}

func (r *run) securityHeaders(context.Context) error {
	if r.tls == nil {
		return skip("the deployment is plain http")
	}
	if got := r.firstAnswer.header.Get("Strict-Transport-Security"); !strings.Contains(got, "max-age=") {
		return want("strict-transport-security with max-age", "%q", got)
	}
	if got := r.firstAnswer.header.Get("X-Content-Type-Options"); got != "nosniff" {
		return want("x-content-type-options: nosniff", "%q", got)
	}
	return nil
}

// generatedHeaders records what AWS's documentation leaves open: it cannot fail.
func (r *run) generatedHeaders(context.Context) error {
	if r.tls == nil {
		return skip("the deployment is plain http")
	}
	seen := "not put on"
	if r.mintAnswer.header.Get("Strict-Transport-Security") != "" {
		seen = "put on"
	}
	r.observe("%s generated answers", seen)
	return nil
}
