package client_test

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"oncegate/internal/client"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

const (
	path  = "/uploads/7f1e2d3c-4b5a-4678-9abc-def012345678"
	query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + onetime.MintedAccessKey + "%2F20260301%2Feu-west-1%2Fs3%2Faws4_request" +
		"&X-Amz-Date=20260301T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&x-id=PutObject&X-Amz-Signature=" + secret
	secret = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2"
	good   = "ogk_" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// server answers every request with handle, and counts connections.
func server(t *testing.T, handle http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(handle)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, &conns
}

// wire is a server that speaks for itself: it reads a request's head and hands the
// connection over.
func wire(t *testing.T, handle func(c net.Conn, br *bufio.Reader)) (base string, conns *atomic.Int32) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	conns = new(atomic.Int32)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go func() {
				defer c.Close()
				br := bufio.NewReader(c)
				for {
					line, err := br.ReadString('\n')
					if err != nil {
						return
					}
					if line == "\r\n" {
						break
					}
				}
				handle(c, br)
			}()
		}
	}()
	return "http://" + ln.Addr().String(), conns
}

func minted(t *testing.T, base string) client.URL {
	t.Helper()
	u, err := client.ParseURL(base + path + "?" + query)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func upload(t *testing.T, base, body string) (client.Stored, error) {
	t.Helper()
	return client.Put(t.Context(), client.Upload{URL: minted(t, base), Body: strings.NewReader(body), Size: int64(len(body))})
}

func sums(body string) (etag, sum string) {
	m, s := md5.Sum([]byte(body)), sha256.Sum256([]byte(body))
	return hex.EncodeToString(m[:]), hex.EncodeToString(s[:])
}

func TestPut(t *testing.T) {
	for _, body := range []string{"a photo", "", strings.Repeat("large ", 1<<18)} {
		var got string
		var header http.Header
		var length int64
		s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got, header, length = string(b), r.Header, r.ContentLength
			if r.RequestURI != path+"?"+query || r.Method != http.MethodPut {
				t.Errorf("%s %s", r.Method, r.RequestURI)
			}
			etag, _ := sums(got)
			w.Header().Set("ETag", `"`+etag+`"`)
			w.Header().Set("x-amz-version-id", "v1")
		})
		var told []int64
		u := minted(t, s.URL)
		u.Header = map[string]string{"content-type": "text/plain"}
		stored, err := client.Put(t.Context(), client.Upload{
			URL: u, Body: strings.NewReader(body), Size: int64(len(body)),
			Header: map[string]string{"Content-Type": "image/png", "Content-Language": "en"}, Sent: func(n int64) { told = append(told, n) },
		})
		if err != nil {
			t.Fatal(err)
		}
		etag, sum := sums(body)
		if got != body || length != int64(len(body)) || stored != (client.Stored{Size: length, ETag: etag, Version: "v1", SHA256: sum}) {
			t.Errorf("%d bytes arrived of %d, %+v", len(got), len(body), stored)
		}
		if header.Get("Content-Type") != "text/plain" || header.Get("Content-Language") != "en" || header.Get("User-Agent") == "" || header.Get("Transfer-Encoding") != "" {
			t.Errorf("headers %v", header)
		}
		if (header.Get("Expect") == "100-continue") != (body != "") {
			t.Errorf("expect %q for %d bytes", header.Get("Expect"), len(body))
		}
		if body != "" && told[len(told)-1] != length {
			t.Errorf("told of %d bytes last, want %d", told[len(told)-1], length)
		}
	}
}

// TestPutOfMore: a body that was said to be empty and is not is not sent.
func TestPutOfMore(t *testing.T) {
	s, conns := server(t, func(http.ResponseWriter, *http.Request) {})
	_, err := client.Put(t.Context(), client.Upload{URL: minted(t, s.URL), Body: strings.NewReader("x"), Size: 0})
	if err == nil || client.FateOf(err) != client.Good || conns.Load() != 0 {
		t.Errorf("%v, URL %s, %d requests", err, client.FateOf(err), conns.Load())
	}
}

// TestPutIsNotRepeated: whatever ends a connection, there is one request, and the
// error says what became of the URL.
func TestPutIsNotRepeated(t *testing.T) {
	goOn := func(c net.Conn) { io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n") }
	reset := func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }
	large := strings.Repeat("x", 8<<20)
	for _, tt := range []struct {
		name, body string
		handle     func(c net.Conn, br *bufio.Reader)
		fate       client.Fate
		want       string
	}{
		{"closed after the head", "a photo", func(net.Conn, *bufio.Reader) {}, client.Broken, "broke off after 0 of 7 bytes"},
		{"closed after the head of an empty body", "", func(net.Conn, *bufio.Reader) {}, client.Unknown, "the answer got lost"},
		{"reset after the head", "a photo", func(c net.Conn, _ *bufio.Reader) { reset(c) }, client.Broken, "broke off after 0 of 7 bytes"},
		{"closed half-way", large, func(c net.Conn, br *bufio.Reader) { goOn(c); io.CopyN(io.Discard, br, 1<<20); reset(c) }, client.Broken, "of 8388608 bytes"},
		{"closed after the body", "a photo", func(c net.Conn, br *bufio.Reader) { goOn(c); io.CopyN(io.Discard, br, 7) }, client.Unknown, "the answer got lost"},
		{"garbage", "a photo", func(c net.Conn, br *bufio.Reader) { io.WriteString(c, "what?\r\n\r\n"); io.Copy(io.Discard, br) }, client.Broken, "broke off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base, conns := wire(t, tt.handle)
			_, err := upload(t, base, tt.body)
			if err == nil || !strings.Contains(err.Error(), tt.want) || client.FateOf(err) != tt.fate {
				t.Errorf("got %v, URL %s, want %q, %s", err, client.FateOf(err), tt.want, tt.fate)
			}
			if n := conns.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows the URL: %v", err)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		_, err := upload(t, "http://127.0.0.1:1", "a photo")
		if client.FateOf(err) != client.Good || !strings.Contains(err.Error(), "no connection") {
			t.Errorf("got %v, URL %s", err, client.FateOf(err))
		}
	})
	t.Run("a body that ends badly", func(t *testing.T) {
		base, conns := wire(t, func(c net.Conn, br *bufio.Reader) { goOn(c); io.Copy(io.Discard, br) })
		bad := errors.New("the file is gone")
		_, err := client.Put(t.Context(), client.Upload{URL: minted(t, base), Body: &failing{strings.NewReader("a pho"), bad}, Size: 7})
		if !errors.Is(err, bad) || client.FateOf(err) != client.Broken || conns.Load() != 1 {
			t.Errorf("got %v, URL %s, %d requests", err, client.FateOf(err), conns.Load())
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		base, conns := wire(t, func(c net.Conn, br *bufio.Reader) { goOn(c); br.ReadByte(); cancel(); io.Copy(io.Discard, br) })
		_, err := client.Put(ctx, client.Upload{URL: minted(t, base), Body: strings.NewReader(large), Size: int64(len(large))})
		if !errors.Is(err, context.Canceled) || conns.Load() != 1 {
			t.Errorf("got %v, %d requests", err, conns.Load())
		}
	})
}

// failing is a body that cannot be read to its end.
type failing struct {
	*strings.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

// TestRefusals: what the answers mean, and that no body was sent for them.
func TestRefusals(t *testing.T) {
	const leak = `<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>` + secret + `</CanonicalRequest></Error>`
	for _, tt := range []struct {
		status       int
		reason, body string
		fate         client.Fate
		want         string
		requests     int32
	}{
		{403, "used", `{"message":"Forbidden: this URL has already been used."}`, client.Useless, "Forbidden: this URL has already been used", 1},
		{403, "revoked", "", client.Useless, "the deployment answered 403 revoked", 1},
		{403, "expired", "", client.Useless, "403 expired", 1},
		{403, "unknown", "", client.Useless, "403 unknown", 1},
		{413, "too-large", "", client.Good, "413 too-large", 1},
		{503, "index-unavailable", "", client.Good, "503 index-unavailable", 3},
		{503, "claim-unknown", "", client.Unknown, "503 claim-unknown", 1},
		{503, "internal", "", client.Unknown, "503 internal", 1},
		{400, "", leak, client.Spent, "S3 answered 400 SignatureDoesNotMatch", 1},
		{403, "", `<Error><Code>InvalidAccessKeyId</Code></Error>`, client.Broken, "S3 answered 403 InvalidAccessKeyId", 1}, // the gate was passed by
		{400, "", "<html>", client.Broken, "400 Bad Request, and not in oncegate's words", 1},
		{429, "", `{"status":429,"reason":"rate","message":"Too Many Requests: slower."}`, client.Broken, "Too Many Requests: slower", 1},
		{403, "of-another-version", "", client.Unknown, "403 of-another-version", 1},
		{500, "", `<Error><Code>InternalError</Code></Error>`, client.Unknown, "S3 answered 500 InternalError", 1},
		{503, "", "<html>", client.Unknown, "503 Service Unavailable, and not in oncegate's words", 1},
		{307, "", `<Error><Code>TemporaryRedirect</Code></Error>`, client.Spent, "S3 answered 307 TemporaryRedirect", 1},
		{307, "", "", client.Unknown, "a redirect, which is not followed", 1},
		{403, "used", "{\"message\":\"\\u001b[31mred\\u0007\"}", client.Useless, "[31mred", 1},
	} {
		s, conns := server(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Retry-After", "1")
			if tt.reason != "" {
				w.Header().Set("x-oncegate-reason", tt.reason)
			}
			w.WriteHeader(tt.status)
			io.WriteString(w, tt.body)
		})
		var sent atomic.Int64
		u := client.Upload{URL: minted(t, s.URL), Body: strings.NewReader("a photo"), Size: 7, Sent: func(n int64) { sent.Store(n) }}
		_, err := client.Put(t.Context(), u)
		refusal, ok := errors.AsType[*client.Refusal](err)
		if !ok || refusal.Status != tt.status || client.FateOf(err) != tt.fate || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d %s: %v, URL %s, want %q, %s", tt.status, tt.reason, err, client.FateOf(err), tt.want, tt.fate)
			continue
		}
		if strings.ContainsAny(err.Error(), "\x1b\a\n") || strings.Contains(err.Error(), secret) {
			t.Errorf("%q may not go to a terminal", err)
		}
		if conns.Load() != tt.requests || sent.Load() != 0 {
			t.Errorf("%d %s: %d requests, want %d; %d bytes sent, want none", tt.status, tt.reason, conns.Load(), tt.requests, sent.Load())
		}
	}
}

// TestUnavailableOnce: nothing was spent, so the same PUT is sent again, whole, and on
// a connection of its own: net/http repeats by itself only on one that it had kept.
func TestUnavailableOnce(t *testing.T) {
	var n atomic.Int32
	s, conns := server(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			io.Copy(io.Discard, r.Body) // a deployment that takes the body first
			w.Header().Set("x-oncegate-reason", "index-unavailable")
			w.WriteHeader(503)
			return
		}
		b, _ := io.ReadAll(r.Body)
		etag, _ := sums(string(b))
		w.Header().Set("ETag", `"`+etag+`"`)
	})
	if stored, err := upload(t, s.URL, "a photo"); err != nil || stored.Size != 7 || n.Load() != 2 || conns.Load() != 2 {
		t.Errorf("got %+v, %v after %d requests on %d connections", stored, err, n.Load(), conns.Load())
	}
}

func TestVerified(t *testing.T) {
	etag, _ := sums("a photo")
	other, _ := sums("another")
	for _, tt := range []struct {
		name, etag string
		header     map[string]string
		unverified string
		err        string
	}{
		{"the MD5", etag, nil, "", ""},
		{"the MD5, encrypted by S3", etag, map[string]string{"X-Amz-Server-Side-Encryption": "AES256"}, "", ""},
		{"another MD5", other, nil, "", "is not that of what was sent"},
		{"KMS", other, map[string]string{"X-Amz-Server-Side-Encryption": "aws:kms"}, "encrypts with aws:kms", ""},
		{"KMS, and S3's CRC-64", other, map[string]string{"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Checksum-Crc64nvme": onetimetest.CRC64NVME([]byte("a photo"))}, "", ""},
		{"KMS, and another CRC-64", other, map[string]string{"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Checksum-Crc64nvme": onetimetest.CRC64NVME([]byte("another"))}, "encrypts with aws:kms", "is not that of what was sent"},
		{"KMS twice", other, map[string]string{"X-Amz-Server-Side-Encryption": "aws:kms:dsse"}, "encrypts with aws:kms:dsse", ""},
		{"a customer's key", other, map[string]string{"X-Amz-Server-Side-Encryption-Customer-Algorithm": "AES256"}, "customer's key", ""},
		{"no MD5", etag + "-1", nil, "does not look like an MD5", ""},
		{"none", "", nil, "", "without an ETag"},
	} {
		s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if tt.etag != "" {
				w.Header().Set("ETag", `"`+tt.etag+`"`)
			}
			for name, value := range tt.header {
				w.Header().Set(name, value)
			}
		})
		stored, err := upload(t, s.URL, "a photo")
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) ||
			!strings.Contains(stored.Unverified, tt.unverified) || (tt.unverified == "") != (stored.Unverified == "") {
			t.Errorf("%s: got %q, %v", tt.name, stored.Unverified, err)
		}
	}
}

// TestMint: the answer must be one of oncegate, with URLs of the host that was asked.
func TestMint(t *testing.T) {
	id := onetime.Fingerprint(path, query)
	object := func(base string) string {
		return fmt.Sprintf(`{"url":"%s%s?%s","id":"%s","expiresAt":"2026-03-04T05:07:07Z","headers":{"content-type":"image/png"}}`, base, path, query, id)
	}
	answer := ""
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/url" || r.URL.Query().Get("label") != "a&b c" || r.Header.Get("Accept") != "application/json" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		io.WriteString(w, answer)
	})
	d, err := client.New(s.URL+"/", client.Credential{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		answer, want string
		urls         int
	}{
		{object(s.URL), "", 1},
		{`{"urls":[` + object(s.URL) + "," + object(s.URL) + `]}`, "", 2},
		{object("https://elsewhere.example"), "not one of its own", 0},
		{object(s.URL + ".elsewhere.example"), "not one of its own", 0},
		{strings.Replace(object(s.URL), string(id), strings.Repeat("0", 64), 1), "not one of its own", 0},
		{strings.Replace(object(s.URL), "&x-id", `\u009b2J&x-id`, 1), "not one of its own", 0},
		{strings.Replace(object(s.URL), "&x-id", `\u202e&x-id`, 1), "not one of its own", 0},
		{strings.Replace(object(s.URL), `","id"`, `\u0085","id"`, 1), "not one of its own", 0},
		{strings.Replace(object(s.URL), `","id"`, `\u00a0","id"`, 1), "not one of its own", 0},
		{`{"urls":[]}`, "without a URL", 0},
		{"<html>", "not with JSON of oncegate", 0},
	} {
		answer = tt.answer
		m, err := d.Mint(t.Context(), url.Values{"label": {"a&b c"}})
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v, want %q", tt.answer, err, tt.want)
			}
			continue
		}
		if err != nil || len(m.URLs) != tt.urls || string(m.JSON) != answer || m.Date.IsZero() || m.At.IsZero() {
			t.Errorf("%s: %+v, %v", tt.answer, m, err)
			continue
		}
		if u := m.URLs[0]; u.ID != id || "/"+u.Key != path || u.Expires.IsZero() || u.Header["content-type"] != "image/png" {
			t.Errorf("%+v", u)
		}
	}
}

// TestCredential: it goes to /url of the one host, not after a redirect, not with an
// upload, and into no text.
func TestCredential(t *testing.T) {
	var redirected atomic.Int32
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/url" {
			redirected.Add(1)
			return
		}
		if r.Header.Get("Authorization") != "Bearer a.b.c" {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	token, err := client.Token("a.b.c")
	if err != nil {
		t.Fatal(err)
	}
	d, err := client.New(s.URL, token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Mint(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "redirect") || redirected.Load() != 0 {
		t.Errorf("got %v, %d requests elsewhere", err, redirected.Load())
	}
	if text := fmt.Sprintf("%v %+v %#v %s", token, token, token, token); strings.Contains(text, "a.b.c") {
		t.Errorf("it shows in %q", text)
	}
	for _, bad := range []string{"", "a b", "a\n", "ü"} {
		if _, err := client.Token(bad); err == nil {
			t.Errorf("token %q", bad)
		}
	}
	for _, bad := range []string{"", good + "00000000", good} {
		if _, err := client.Key(bad); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("key %q: %v", bad, err)
		}
	}
	for raw, ok := range map[string]bool{
		"http://upload.example": false, "http://127.0.0.1:8080": true, "http://localhost:8080": true, "http://[::1]:1": true, "https://upload.example": true,
	} {
		if _, err := client.New(raw, token); (err == nil) != ok {
			t.Errorf("%s with a token: %v", raw, err)
		}
		if _, err := client.New(raw, client.Credential{}); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// TestBaseURL: the URL of a distribution has one spelling, and none of its errors
// repeats what could be a secret.
func TestBaseURL(t *testing.T) {
	for _, raw := range []string{"https://A.example", " https://a.example/ \n", "https://a.example"} {
		d, err := client.New(raw, client.Credential{})
		if err != nil || d.URL() != "https://a.example" {
			t.Errorf("%q: %v, %v", raw, d, err)
		}
	}
	for _, raw := range []string{"", "a.example", "ftp://a.example", "https://a.example/url", "https://me:" + secret + "@a.example", "https://a.example?x",
		"https://a.example" + path + "?" + query} {
		if _, err := client.New(raw, client.Credential{}); err == nil || !strings.Contains(err.Error(), "allowed is http") || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

// TestParseURL: what is wrong with a URL is found before anything is sent, and said
// without repeating it.
func TestParseURL(t *testing.T) {
	whole := "https://a.example" + path + "?" + query
	for _, raw := range []string{whole, whole + " ", "\t" + whole + "\r\n"} {
		u, err := client.ParseURL(raw)
		if err != nil || u.URL != whole || u.ID != onetime.Fingerprint(path, query) || "/"+u.Key != path {
			t.Errorf("%q: %+v, %v", raw, u, err)
		}
	}
	for _, spelling := range onetimetest.Spellings(query) {
		u, err := client.ParseURL("https://a.example" + path + "?" + spelling.Query)
		if err != nil || u.ID != onetime.Fingerprint(path, query) || "/"+u.Key != path {
			t.Errorf("%s: %+v, %v", spelling.Name, u, err)
		}
	}
	for _, tt := range []struct{ raw, want string }{
		{"", "want http:// or https://"},
		{"x", "want http:// or https://"},
		{path + "?" + query, "want http:// or https://"},
		{"://" + query, "want http:// or https://"},
		{whole + "#x", "want http:// or https://"},
		{"https://me@a.example" + path + "?" + query, "want http:// or https://"},
		{"https://a.example" + path, "it was cut short (quote it"},
		{"https://a.example" + path + "?" + strings.SplitN(query, "&", 2)[0], "it was cut short (quote it"},
		{whole[:len(whole)-1], "it was cut short (quote it"},
		{"https://a.example/x?" + query, "path does not begin with /uploads/"},
		{"https://a.example/%75ploads" + path[8:] + "?" + query, "path does not begin with /uploads/"},
		{whole[:60] + "\n" + whole[60:], "there is a space or a line break in it"},
		{strings.ReplaceAll(whole, "&", "&amp;"), "its & were written &amp; as in HTML"},
		{url.QueryEscape(whole), "it was percent-encoded once more"},
		{"https://a.example" + path + "?" + url.QueryEscape(query), "it was percent-encoded once more"},
		{whole + "0", "X-Amz-Signature is not 64"},
		{whole + "&x=y", "a parameter that no minted URL has"},
		{strings.Replace(whole, "eu-west-1", "eu/west-1", 1), "not in the form that mint makes"},
	} {
		_, err := client.ParseURL(tt.raw)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "not a URL as oncegate makes it: ") {
			t.Errorf("%q: %v, want %q", tt.raw, err, tt.want)
		} else if strings.Contains(err.Error(), secret[:20]) || strings.Contains(err.Error(), "a.example") {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
}
