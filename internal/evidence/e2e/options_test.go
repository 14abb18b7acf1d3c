package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
)

// withOptions is a stack that allows every option, also from that page.
func withOptions(page string) testbed.Option {
	return func(s *testbed.Setup) {
		s.Settings["sha256"], s.Settings["writeOnce"] = true, true
		s.Settings["allowedOrigins"] = []string{page}
		s.Settings["maxExpires"] = 3600
	}
}

// ask gets one URL for these options.
func ask(t *testing.T, st *testbed.Stack, query string) testbed.Minted {
	t.Helper()
	a := st.Do(t, http.MethodGet, st.Edge.URL()+"/url?"+query, nil, nil)
	if a.Status != http.StatusOK {
		t.Fatalf("%s: %v", query, a)
	}
	return testbed.ParseMinted(t, a.Body)
}

func sumOf(n int) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Repeat("x", n)))) }

// TestLimitsByClient tries uploads within, at, just over and far over every limit
// with programs that people use. What is refused leaves the URL good: the same URL
// takes the good upload behind it, and then no more.
func TestLimitsByClient(t *testing.T) {
	type try struct {
		size   int
		kind   string
		status int
		reason string
	}
	uploads := []struct {
		query string
		tries []try // the last is the good one
	}{
		{"maxBytes=1000", []try{{1001, "", 413, "too-large"}, {200_000, "", 413, "too-large"}, {1000, "", 200, ""}}},
		{"maxBytes=1000", []try{{999, "", 200, ""}}},
		{"maxBytes=1000", []try{{0, "", 400, "too-small"}, {1, "", 200, ""}}},
		{"minBytes=0&maxBytes=1000", []try{{0, "", 200, ""}}},
		{"minBytes=10", []try{{9, "", 400, "too-small"}, {0, "", 400, "too-small"}, {10, "", 200, ""}}},
		{"minBytes=10", []try{{200_000, "", 200, ""}}},
		{"minBytes=10&maxBytes=10", []try{{11, "", 413, "too-large"}, {9, "", 400, "too-small"}, {10, "", 200, ""}}},
		{"type=image/png", []try{{1, "text/html", 415, "type"}, {1, "image/*", 415, "type"}, {1, "image/png;x,text/html", 415, "type"}, {1, "image/png", 200, ""}}},
		{"type=image/png", []try{{1, "", 200, ""}}},
		{"type=image/png", []try{{1, "Image/PNG; a=b", 200, ""}}},
		{"type=image/*", []try{{1, "text/html", 415, "type"}, {1, "", 415, "type"}, {1, "image/gif", 200, ""}}},
		{"sha256=" + sumOf(10), []try{{10, "text/plain", 200, ""}}},
		{"name=caf%C3%A9+1.txt&type=text/plain&sha256=" + sumOf(3) + "&maxBytes=3&minBytes=3", []try{{4, "text/plain", 413, "too-large"}, {3, "text/html", 415, "type"}, {3, "", 200, ""}}},
	}
	orders := []struct {
		query  string
		status int
	}{
		{"expires=1", 200}, {"expires=3600", 200}, {"expires=3601", 400}, {"expires=1000000000000", 400}, {"expires=0", 400},
		{"maxBytes=5368709120", 200}, {"maxBytes=5368709121", 400}, {"maxBytes=0", 400}, {"minBytes=5368709120", 200}, {"minBytes=5368709121", 400},
		{"count=10", 200}, {"count=11", 400}, {"count=1000000", 400}, {"type=image/*", 200}, {"type=*/*", 400},
		{"name=" + strings.Repeat("x", 255), 200}, {"name=" + strings.Repeat("x", 256), 400}, {"name=" + strings.Repeat("x", 4000), 400}, {"name=%E2%80%AEx", 400},
		{"label=" + strings.Repeat("x", 128), 200}, {"label=" + strings.Repeat("x", 129), 400},
		{"sha256=" + sumOf(1), 200}, {"sha256=" + sumOf(1)[1:], 400}, {"colour=red", 400}, {"expires=5&expires=5", 400},
	}
	page := pageServer(t)
	st := testbed.New(t, withOptions(page))
	for _, name := range slices.Sorted(maps.Keys(clients)) {
		t.Run(name, func(t *testing.T) {
			var requests []request
			var want []reply
			var minted []testbed.Minted
			for _, u := range uploads {
				m := ask(t, st, u.query)
				minted = append(minted, m)
				for _, try := range u.tries {
					requests = append(requests, request{http.MethodPut, m.URL, try.size, try.kind})
					want = append(want, reply{try.status, try.reason, u.query})
				}
				last := u.tries[len(u.tries)-1]
				requests = append(requests, request{http.MethodPut, m.URL, last.size, last.kind})
				want = append(want, reply{403, "used", u.query})
			}
			for _, o := range orders {
				requests = append(requests, request{Method: http.MethodGet, URL: st.Edge.URL() + "/url?" + o.query})
				reason := ""
				if o.status == 400 {
					reason = "options"
				}
				want = append(want, reply{o.status, reason, o.query})
			}
			got := clients[name](t, page, requests)
			if len(got) != len(want) {
				t.Fatalf("%d replies, want %d", len(got), len(want))
			}
			for i, r := range got {
				st.CheckLeak(t, r.Body)
				if r.Status != want[i].Status || r.Reason != want[i].Reason {
					t.Errorf("%.60s: %s of %d bytes, type %q: %d %s %.200s, want %d %s", want[i].Body, requests[i].Method, requests[i].Size,
						requests[i].Type, r.Status, r.Reason, r.Body, want[i].Status, want[i].Reason)
				}
			}
			for i, m := range minted {
				if last := uploads[i].tries[len(uploads[i].tries)-1]; st.Stored(t, m.Key) != strings.Repeat("x", last.size) {
					t.Errorf("%s: another body is stored", uploads[i].query)
				}
			}
		})
	}
}

// TestFramings: chunked bodies, framed by HTTP or by an SDK, are refused without
// spending the URL, and so is a body that is announced and too large.
func TestFramings(t *testing.T) {
	st := testbed.New(t, withOptions("https://app.example"))
	m := ask(t, st, "maxBytes=1000&type=text/plain")
	u, err := url.Parse(m.URL)
	if err != nil {
		t.Fatal(err)
	}
	head := "PUT " + u.RequestURI() + " HTTP/1.1\r\nhost: " + u.Host + "\r\n"
	for _, c := range []struct {
		name, head, body string
		status           int
		reason           string
	}{
		{"chunked", "transfer-encoding: chunked\r\ncontent-type: text/plain\r\n", "1\r\nx\r\n0\r\n\r\n", 411, "length-required"},
		{"chunked after 100-continue", "transfer-encoding: chunked\r\nexpect: 100-continue\r\n", "1\r\nx\r\n0\r\n\r\n", 411, "length-required"},
		{"aws-chunked", "content-encoding: aws-chunked\r\nx-amz-decoded-content-length: 1\r\nx-amz-trailer: x-amz-checksum-crc32\r\nx-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\ncontent-length: 1\r\n", "x", 400, "header"},
		{"far too large, not sent", "content-length: 5000000000\r\nexpect: 100-continue\r\n", "", 413, "too-large"},
		{"over 5 GiB, not sent", "content-length: 5368709121\r\nexpect: 100-continue\r\n", "", 413, "too-large"},
		{"wrong type, not sent", "content-length: 1\r\nexpect: 100-continue\r\ncontent-type: text/html\r\n", "x", 415, "type"},
		{"good", "content-length: 1\r\nexpect: 100-continue\r\ncontent-type: text/plain\r\n", "x", 200, ""},
		{"good, again", "content-length: 1\r\nexpect: 100-continue\r\ncontent-type: text/plain\r\n", "x", 403, "used"},
	} {
		r := speakOnce(t, u.Host, head+c.head+"\r\n", c.body)
		if r.Status != c.status || r.Reason != c.reason {
			t.Errorf("%s: %d %s %.200s, want %d %s", c.name, r.Status, r.Reason, r.Body, c.status, c.reason)
		}
	}
}

// TestAnotherBody: S3 refuses a body that does not match the sha256. The URL is spent by
// then, and nothing is stored.
func TestAnotherBody(t *testing.T) {
	page := pageServer(t)
	st := testbed.New(t, withOptions(page))
	for _, name := range slices.Sorted(maps.Keys(clients)) {
		t.Run(name, func(t *testing.T) {
			m := ask(t, st, "sha256="+sumOf(10))
			got := clients[name](t, page, []request{{http.MethodPut, m.URL, 11, ""}, {http.MethodPut, m.URL, 10, ""}})
			if got[0].Status != http.StatusBadRequest || got[0].Reason != "" || !strings.Contains(got[0].Body, "<Code>") {
				t.Errorf("another body: %+v, want S3's own 400", got[0])
			}
			if got[1].Status != http.StatusForbidden || got[1].Reason != "used" {
				t.Errorf("then the right one: %+v, want 403 used", got[1])
			}
			for _, r := range got {
				st.CheckLeak(t, r.Body)
			}
			st.WantClaims(t, m.ID, 1)
			st.WantVersions(t, m.Key, 0)
		})
	}
}

// TestStoredWithName: name, type and checksum are kept with the object.
func TestStoredWithName(t *testing.T) {
	st := testbed.New(t, withOptions("https://app.example"))
	m := ask(t, st, "name=caf%C3%A9+%221%22.txt&type=text/plain&sha256="+sumOf(3))
	header := http.Header{"Content-Disposition": {"inline"}, "X-Amz-Checksum-Sha256": {"AAAA"}}
	if a := st.Do(t, http.MethodPut, m.URL, header, strings.NewReader("xxx")); a.Status != http.StatusOK {
		t.Fatal(a)
	}
	out, err := s3servertest.Client(st.S3).HeadObject(t.Context(), &s3.HeadObjectInput{
		Bucket: aws.String(s3servertest.Bucket), Key: &m.Key, ChecksumMode: "ENABLED",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := aws.ToString(out.ContentDisposition); got != "attachment; filename*=UTF-8''caf%C3%A9%20%221%22.txt" {
		t.Errorf("content-disposition %q", got)
	}
	if aws.ToString(out.ContentType) != "text/plain" || aws.ToString(out.ChecksumSHA256) == "" {
		t.Errorf("type %q, checksum %q", aws.ToString(out.ContentType), aws.ToString(out.ChecksumSHA256))
	}
}

// TestPost: the options in a JSON body, up to where CloudFront cuts it off.
func TestPost(t *testing.T) {
	st := testbed.New(t, withOptions("https://app.example"))
	post := func(body io.Reader) testbed.Answer {
		return st.Do(t, http.MethodPost, st.Edge.URL()+"/url",
			http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, body)
	}
	a := post(strings.NewReader(`{"count": 3, "maxBytes": 5, "name": "é.txt"}`))
	var answer struct {
		URLs []struct {
			URL    string
			Limits struct{ MaxBytes int }
			Name   string
		}
	}
	if err := json.Unmarshal([]byte(a.Body), &answer); err != nil || len(answer.URLs) != 3 {
		t.Fatalf("%v, %v", a, err)
	}
	for _, u := range answer.URLs {
		if u.Limits.MaxBytes != 5 || u.Name != "é.txt" {
			t.Errorf("%+v", u)
		}
		m := testbed.ParseMinted(t, u.URL)
		if a := st.Put(t, m, "123456"); a.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("too large: %v", a)
		}
		if a := st.Put(t, m, "12345"); a.Status != http.StatusOK {
			t.Errorf("as large as allowed: %v", a)
		}
	}
	const body = `{"count":1}`
	for size, want := range map[int]int{40 << 10: 200, 40<<10 + 1: 400, 1 << 20: 400} {
		if a := post(strings.NewReader(strings.Repeat(" ", size-len(body)) + body)); a.Status != want {
			t.Errorf("body of %d bytes: %v, want %d", size, a, want)
		}
	}
	for _, path := range []string{"/url/", "/url/x"} {
		a := st.Do(t, http.MethodPost, st.Edge.URL()+path, http.Header{"Content-Type": {"application/json"}}, strings.NewReader(body))
		if a.Status != http.StatusForbidden || a.Reason() != "path" {
			t.Errorf("POST %s: %v, want 403 path", path, a)
		}
	}
}

// TestPage: a web application on another origin, in a real browser.
func TestPage(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "a page sees no difference")
	page := pageServer(t)
	st := testbed.New(t, withOptions(page))
	var got struct {
		URL                     string
		TooLarge, First, Second struct {
			Status                int
			Reason, ETag, Version string
		}
		Posted int
	}
	inChromium(t, &got, st.Edge.URL()+"/url", page, "application")
	if got.TooLarge.Status != 413 || got.TooLarge.Reason != "too-large" {
		t.Errorf("too large: %+v", got.TooLarge)
	}
	if got.First.Status != 200 || got.First.ETag == "" || got.First.Version == "" {
		t.Errorf("first: %+v, want 200 with ETag and version for the script to read", got.First)
	}
	if got.Second.Status != 403 || got.Second.Reason != "used" {
		t.Errorf("second: %+v, want 403 used", got.Second)
	}
	if got.Posted != 2 {
		t.Errorf("POST gave %d URLs, want 2", got.Posted)
	}
	m := testbed.ParseMinted(t, got.URL)
	if stored := st.Stored(t, m.Key); stored != "1,2,3" {
		t.Errorf("stored %q", stored)
	}

	var stranger struct {
		Status int
		Error  string
	}
	inChromium(t, &stranger, st.Edge.URL()+"/url", pageServer(t), "stranger")
	if stranger.Error != "TypeError" {
		t.Errorf("a page of another origin: %+v, want its browser to refuse", stranger)
	}
}
