package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"oncegate/internal/client"
	"oncegate/internal/onetime"
)

// TestChangedInParts: a file that is another when all parts are there is not completed.
func TestChangedInParts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "film")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	change := func() error { return os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)) }
	completed := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch {
		case query.Has("uploads"):
			io.WriteString(w, `{"partBytes":8388608,"maxParts":1000,"maxBytes":5368709120}`)
		case query.Has("parts"):
			io.WriteString(w, `{"parts":[]}`)
		case query.Has("complete"):
			completed++
			fmt.Fprintf(w, `{"stored":true,"size":7,"etag":%q}`, query.Get("etag"))
		default:
			io.Copy(io.Discard, r.Body)
			if err := change(); err != nil {
				t.Error(err)
			}
			w.Header().Set("ETag", `"9a0364b9e99bb480dd25e1f0284c8555"`) // MD5 of the content
		}
	}))
	defer server.Close()
	u, err := client.ParseURL(strings.Replace(keptURL, "https://d.example", server.URL, 1))
	if err != nil {
		t.Fatal(err)
	}
	put := func() error {
		s, err := openSource(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		p := &putting{parallel: 1}
		_, err = p.putParts(t.Context(), s, client.Upload{URL: u, Size: s.size()})
		return err
	}
	if err := put(); !errors.Is(err, errChanged) || client.FateOf(err) != client.Good || completed != 0 {
		t.Errorf("%v, completed %d times", err, completed)
	}
	change = func() error { return nil }
	if err := put(); err != nil || completed != 1 {
		t.Errorf("unchanged: %v, completed %d times", err, completed)
	}
}

// TestMintLong: a URL for parts lives as long as the deployment allows, of what is asked for.
func TestMintLong(t *testing.T) {
	for _, tt := range []struct {
		name  string
		size  int64
		given string
		most  int // what the deployment allows
		want  string
	}{
		{"a day", 100 << 20, "", 7 * 86400, "86400"},
		{"longer for a larger one", 10 << 30, "", 7 * 86400, "163840"},
		{"a week at most", 500 << 30, "", 7 * 86400, "604800"},
		{"a day is the most", 10 << 30, "", 86400, "163840 86400"},
		{"an hour is the most", 100 << 20, "", 3600, "86400 -"},
		{"an hour is the most, of a larger one", 500 << 30, "", 3600, "604800 86400 -"},
		{"as it is said", 500 << 30, "60", 3600, "60"},
		{"as it is said, and refused", 100 << 20, "7200", 3600, "7200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			var server *httptest.Server
			server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				life := r.URL.Query().Get("expires")
				if !r.URL.Query().Has("expires") {
					life = "-"
				}
				asked = append(asked, life)
				if n, _ := strconv.Atoi(life); n > tt.most {
					w.Header().Set("x-oncegate-reason", string(onetime.Options))
					w.WriteHeader(http.StatusBadRequest)
					io.WriteString(w, `{"message":"expires: no."}`)
					return
				}
				path, query, _ := strings.Cut(strings.TrimPrefix(keptURL, "https://d.example"), "?")
				fmt.Fprintf(w, `{"url":"%s%s?%s","id":"%s"}`, server.URL, path, query, onetime.Fingerprint(path, query))
			}))
			defer server.Close()
			d, err := client.New(server.URL, client.Credential{})
			if err != nil {
				t.Fatal(err)
			}
			p := &putting{deployment: d, options: map[string][]string{}}
			options := map[string][]string{"name": {"film"}}
			if tt.given != "" {
				options["expires"] = []string{tt.given}
			}
			u, err := p.mintLong(t.Context(), options, tt.size)
			if tt.name == "as it is said, and refused" {
				if err == nil {
					t.Error("minted")
				}
			} else if err != nil || u.URL == "" {
				t.Errorf("%v", err)
			}
			if want := strings.Fields(tt.want); !slices.Equal(asked, want) {
				t.Errorf("asked for %v, want %v", asked, want)
			}
		})
	}
}
