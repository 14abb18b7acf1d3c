package client_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/client"
	"oncegate/internal/onetime"
)

const (
	path  = "/uploads/7f1e2d3c-4b5a-4678-9abc-def012345678"
	query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=oncegate%2F20260301%2Feu-west-1%2Fs3%2Faws4_request" +
		"&X-Amz-Date=20260301T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&x-id=PutObject&X-Amz-Signature=" + secret
	secret = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2"
)

// inMemory is a deployment of one URL. refuse, if set, answers a request with a status and a reason
// instead; 0 lets it be. The table of cases of all clients is played on the local edge, in
// internal/evidence/clients.
func inMemory(refuse func(r *http.Request) (status int, reason string)) *httptest.Server {
	var mu sync.Mutex
	spent := false
	parts := map[string][]byte{}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		asked := r.URL.Query()
		status, reason := 0, ""
		if refuse != nil {
			status, reason = refuse(r)
		}
		if status == 0 && spent && r.URL.Path != "/url" {
			status, reason = http.StatusForbidden, "used"
		}
		answer := map[string]any{}
		switch {
		case status != 0:
			w.Header().Set("x-oncegate-reason", reason)
			w.WriteHeader(status)
			answer["message"] = "Forbidden: this URL has already been used."
		case r.URL.Path == "/url":
			answer = map[string]any{
				"url": "http://" + r.Host + path + "?" + query, "id": onetime.Fingerprint(path, query), "expiresAt": "2026-03-01T12:01:00Z",
				"headers": map[string]string{"x-asked": r.URL.RawQuery + r.Header.Get("X-Api-Key")},
			}
		case r.Method == http.MethodDelete:
			spent = true
		case asked.Has("uploads"):
			answer = map[string]any{"partBytes": 8 << 20, "maxParts": 1000}
		case asked.Has("parts"):
			answer["parts"] = []any{}
		case asked.Has("complete"):
			spent = true
			all := append(parts["1"], parts["2"]...)
			answer = map[string]any{"stored": true, "size": len(all), "etag": asked.Get("etag")}
		default:
			parts[asked.Get("partNumber")] = body
			spent = !asked.Has("partNumber")
			w.Header().Set("etag", fmt.Sprintf(`"%x"`, md5.Sum(body)))
			w.Header().Set("x-amz-version-id", "v1 "+r.Header.Get("Content-Type"))
			return
		}
		json.NewEncoder(w).Encode(answer)
	}))
}

func minted(t *testing.T, server *httptest.Server) client.URL {
	t.Helper()
	d, err := client.New(server.URL, client.Credential{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := d.Mint(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// failure returns the error of this package, and sees that it shows nothing of the URL.
func failure(t *testing.T, err error) *client.Error {
	t.Helper()
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		t.Fatalf("%v is no *Error", err)
	}
	if strings.Contains(e.Error(), secret[:8]) {
		t.Errorf("%v shows the URL", e)
	}
	return e
}

func TestMint(t *testing.T) {
	server := inMemory(nil)
	defer server.Close()
	key := "ogk_" + strings.Repeat("0123456789abcdef", 4)
	if _, err := client.Key(key); err == nil {
		t.Error("a key that is cut short holds")
	}
	u := minted(t, server)
	if u.Key != path[1:] || u.ID != string(onetime.Fingerprint(path, query)) || !u.Expires.Equal(time.Date(2026, 3, 1, 12, 1, 0, 0, time.UTC)) {
		t.Errorf("%+v, %s", u, u.ID)
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", u, u, u, u); strings.Contains(shown, secret) {
		t.Errorf("it shows the URL: %s", shown)
	}
	d, err := client.New(server.URL, client.Credential{})
	if err != nil {
		t.Fatal(err)
	}
	if u, err := d.Mint(t.Context(), client.Options{"maxBytes": "5", "label": "a b"}); err != nil || u.Header["x-asked"] != "label=a+b&maxBytes=5" {
		t.Errorf("%q, %v", u.Header, err)
	}
	token, err := client.Token("a-token")
	if err != nil || strings.Contains(fmt.Sprintf("%v %#v", token, token), "a-token") {
		t.Errorf("%v, %v", token, err)
	}
	if _, err := client.New("http://uploads.example.com", token); err == nil {
		t.Error("a token goes over plain http")
	}
}

func TestUpload(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 9<<16) // 9 MiB
	for name, tt := range map[string]struct {
		content []byte
		upload  client.Upload
		parts   int
	}{
		"small":           {[]byte("a photo"), client.Upload{}, 0},
		"small, in parts": {[]byte("a photo"), client.Upload{Way: client.InParts}, 1},
		"empty":           {nil, client.Upload{Way: client.InParts}, 0},
		"large":           {large, client.Upload{}, 2},
		"large, whole":    {large, client.Upload{Way: client.Whole}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := inMemory(nil)
			defer server.Close()
			u := minted(t, server)
			file := filepath.Join(t.TempDir(), "photo.jpg")
			if err := os.WriteFile(file, tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
			var sent int64
			tt.upload.Sent = func(n int64) { sent = n }
			stored, err := client.UploadFile(t.Context(), u, file, tt.upload)
			if err != nil || stored.Parts != tt.parts || stored.Size != int64(len(tt.content)) || sent != stored.Size {
				t.Fatalf("%+v, %v, %d sent, want %d parts", stored, err, sent, tt.parts)
			}
			if tt.parts == 0 && stored.Version != "v1 image/jpeg" {
				t.Errorf("version and type %q", stored.Version)
			}
			_, err = client.UploadBody(t.Context(), u, bytes.NewReader(tt.content), int64(len(tt.content)), client.Upload{Way: client.Whole})
			if e := failure(t, err); e.Reason != "used" || e.Status != 403 || e.Fate != client.Useless {
				t.Errorf("again: %+v", e)
			}
		})
	}
}

func TestGiveUp(t *testing.T) {
	server := inMemory(nil)
	defer server.Close()
	u := minted(t, server)
	if err := client.GiveUp(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if e := failure(t, client.GiveUp(t.Context(), u)); e.Reason != "used" {
		t.Errorf("%+v", e)
	}
}

// TestErrors: each kind of failure has its reason and its fate, in parts and in one PUT.
func TestErrors(t *testing.T) {
	content := []byte("a photo")
	gone := failing{errors.New("the disk is gone")}
	for name, tt := range map[string]struct {
		way    client.Way
		status int
		reason string
		body   io.ReaderAt
		want   client.Error
	}{
		"refused":             {client.Whole, 413, "too-large", bytes.NewReader(content), client.Error{Reason: "too-large", Status: 413, Fate: client.Good}},
		"by somebody else":    {client.Whole, 403, "", bytes.NewReader(content), client.Error{Status: 403, Fate: client.Broken}},
		"by somebody, a part": {client.InParts, 403, "", bytes.NewReader(content), client.Error{Status: 403, Fate: client.Good}},
		"unreadable":          {client.Whole, 0, "", gone, client.Error{Reason: "file", Fate: client.Broken}},
		"unreadable, parts":   {client.InParts, 0, "", gone, client.Error{Reason: "file", Fate: client.Good}},
		"shorter than said":   {client.InParts, 0, "", bytes.NewReader(content[:3]), client.Error{Reason: "file", Fate: client.Good}},
	} {
		t.Run(name, func(t *testing.T) {
			server := inMemory(func(r *http.Request) (int, string) {
				if r.Method == http.MethodPut {
					return tt.status, tt.reason
				}
				return 0, ""
			})
			defer server.Close()
			_, err := client.UploadBody(t.Context(), minted(t, server), tt.body, int64(len(content)), client.Upload{Way: tt.way})
			if e := failure(t, err); e.Reason != tt.want.Reason || e.Status != tt.want.Status || e.Fate != tt.want.Fate {
				t.Errorf("%+v, want %+v", e, tt.want)
			}
		})
	}
	server := inMemory(nil)
	u := minted(t, server)
	if _, err := client.UploadFile(t.Context(), u, filepath.Join(t.TempDir(), "absent"), client.Upload{}); failure(t, err).Reason != "file" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := client.UploadFile(t.Context(), u, t.TempDir(), client.Upload{}); failure(t, err).Reason != "file" {
		t.Errorf("a folder: %v", err)
	}
	server.Close()
	if _, err := client.UploadBody(t.Context(), u, bytes.NewReader(content), 7, client.Upload{}); failure(t, err).Reason != "connection" || failure(t, err).Fate != client.Good {
		t.Errorf("nobody there: %v", err)
	}
}

type failing struct{ err error }

// ReadAt implements io.ReaderAt.
func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

// TestStopped: waiting ends with the context, and what waits is told.
func TestStopped(t *testing.T) {
	server := inMemory(func(r *http.Request) (int, string) {
		if r.URL.Path != "/url" {
			return 503, "index-unavailable"
		}
		return 0, ""
	})
	defer server.Close()
	u := minted(t, server)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := client.UploadBody(ctx, u, strings.NewReader("a photo"), 7, client.Upload{Way: client.InParts, Waits: func(time.Duration) { cancel() }})
	if e := failure(t, err); e.Fate != client.Good {
		t.Errorf("%+v", e)
	}
}

// TestImportedByOthers: another module gets this package as the package comment says, without a network.
func TestImportedByOthers(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := "package main\n\nimport (\n\t\"fmt\"\n\n\t\"oncegate/client\"\n)\n\nfunc main() {\n\t_, err := client.ParseURL(\"x\")\n\tfmt.Println(err != nil)\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	// What the network would say of the modules, this one has been told.
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"mod", "init", "example.com/theirs"}, {"mod", "edit", "-require=oncegate@v0.0.0", "-replace=oncegate=" + root}, {"mod", "tidy"}, {"run", "."},
	} {
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=", "GOWORK=off")
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		if args[0] == "run" && string(out) != "true\n" {
			t.Errorf("it prints %q", out)
		}
	}
}
