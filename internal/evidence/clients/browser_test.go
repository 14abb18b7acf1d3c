package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
)

// pages are upload widgets in a browser, by page and flavour. What they say of an answer
// is what a client says.
var pages = map[string]string{
	"Dropzone":                     "dropzone.html#with|",
	"Dropzone without its headers": "dropzone.html#plain|",
	"FilePond":                     "filepond.html#raw|",
}

// TestPages: Dropzone and FilePond in a real browser, as TestClients.
func TestPages(t *testing.T) {
	browser := testbed.Browser(t)
	site := serve(t)
	st := testbed.New(t, func(s *testbed.Setup) { s.Settings["allowedOrigins"] = []string{site} })
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			file, content := recording(t)
			m := st.Mint(t)
			address := site + "/" + page + m.URL
			if got := drive(t, browser, address, file); got != "200" {
				t.Fatalf("the first upload: %q, want 200", got)
			}
			if st.Stored(t, m.Key) != content {
				t.Error("other bytes are stored than were sent")
			}
			if got := drive(t, browser, address, file); got != "403 used" {
				t.Errorf("the second upload: %q, want 403 used", got)
			}
			st.WantVersions(t, m.Key, 1)
		})
	}
}

// TestPageForms: the widgets send a form unless they are told not to. FilePond also
// escapes the URL once more.
func TestPageForms(t *testing.T) {
	browser := testbed.Browser(t)
	site := serve(t)
	st := testbed.New(t, func(s *testbed.Setup) { s.Settings["allowedOrigins"] = []string{site} })
	for page, want := range map[string]string{"dropzone": "400 header", "filepond": "403 unknown"} {
		t.Run(page, func(t *testing.T) {
			upload := func(t *testing.T, url, file string) string {
				return drive(t, browser, site+"/"+page+".html#form|"+url, file)
			}
			mistake{upload, want}.refused(t, st)
		})
	}
}

// TestUppy4 sends files in parts through Uppy 4, which asks in other words than Uppy 6: an empty
// one, a small one, and one of two parts with a pause between them.
func TestUppy4(t *testing.T) {
	browser := testbed.Browser(t)
	site := serve(t)
	st := testbed.New(t, func(s *testbed.Setup) { s.Settings["allowedOrigins"] = []string{site} })
	for size, want := range map[int]string{0: "200", 1: "200 after a pause", 6 << 20: "200 after a pause"} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			keys := make(chan string, 100)
			st.EveryRequest(func(r *http.Request) s3server.Fault {
				if i := strings.Index(r.URL.Path, "/uploads/"); i >= 0 && r.Method == http.MethodPut && !strings.Contains(r.URL.Path, "signatures/") {
					keys <- r.URL.Path[i+1:]
				}
				return s3server.Fault{}
			})
			content := strings.Repeat("x", size)
			path := filepath.Join(t.TempDir(), "photo.jpg")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := drive(t, browser, site+"/uppy4.html#"+st.Edge.URL(), path); got != want {
				t.Errorf("the page says %q, want %q", got, want)
			}
			st.EveryRequest(nil)
			if len(keys) == 0 {
				t.Fatal("nothing reached S3")
			}
			key := <-keys
			if st.Stored(t, key) != content {
				t.Error("other bytes are stored than were sent")
			}
			st.WantVersions(t, key, 1)
		})
	}
}

// serve bundles the pages and serves them as their own origin.
func serve(t *testing.T) (origin string) {
	t.Helper()
	dir := t.TempDir()
	bundle := exec.CommandContext(t.Context(), "./node_modules/.bin/esbuild", "dropzone.js", "filepond.js", "oncegate.js", "uppy4.js", "--bundle", "--format=esm", "--outdir="+dir)
	bundle.Dir = "testdata"
	if out, err := bundle.CombinedOutput(); err != nil {
		t.Fatalf("bundle (`make clients` fetches what is needed): %v\n%s", err, out)
	}
	for _, name := range []string{"dropzone.html", "filepond.html", "oncegate.html", "uppy4.html"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL
}

// drive has a person choose a file on a page, and returns what the page says of the
// answer.
func drive(t *testing.T, browser, page, file string) string {
	t.Helper()
	input, err := json.Marshal(map[string]any{"files": []string{file}, "line": "#status", "ended": `\d|no answer`})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, nodePath(t), "../examples/testdata/drive.mjs", browser, t.TempDir(), page)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // on which a browser is closed
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var lines []string
	if err := cmd.Run(); err != nil {
		t.Fatalf("drive the browser: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(stdout.Bytes(), &lines); err != nil || len(lines) != 1 {
		t.Fatalf("drive the browser: %v in %.200s\n%s", err, stdout.String(), stderr.String())
	}
	return strings.TrimSpace(lines[0])
}
