package clients

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
)

// largestClient is how large the JavaScript client may get, bundled, minified and gzipped.
const largestClient = 8 << 10

// TestJavaScriptSize: what a page has to fetch of the client.
func TestJavaScriptSize(t *testing.T) {
	bundle := exec.CommandContext(t.Context(), "./node_modules/.bin/esbuild", "../../../../clients/js/src/index.js", "--bundle", "--minify", "--format=esm")
	bundle.Dir = "testdata"
	out, err := bundle.Output()
	if err != nil {
		t.Fatalf("bundle (`make clients` fetches what is needed): %v", err)
	}
	var zipped bytes.Buffer
	w, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if _, err := w.Write(out); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes minified, %d gzipped", len(out), zipped.Len())
	if zipped.Len() >= largestClient {
		t.Errorf("%d bytes, want less than %d", zipped.Len(), largestClient)
	}
}

// TestJavaScriptPackage: what `npm pack` would publish is the source, its types and what
// says what it is, and no test.
func TestJavaScriptPackage(t *testing.T) {
	pack := exec.CommandContext(t.Context(), testbed.Program(t, "npm"), "pack", "--dry-run", "--json")
	pack.Dir = root + "/clients/js"
	out, err := pack.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packed []struct{ Files []struct{ Path string } }
	if err := json.Unmarshal(out, &packed); err != nil || len(packed) != 1 {
		t.Fatalf("%v in %.300s", err, out)
	}
	var paths []string
	for _, file := range packed[0].Files {
		paths = append(paths, file.Path)
	}
	want := "README.md package.json src/errors.js src/http.js src/index.d.ts src/index.js src/md5.js"
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("npm pack takes %s, want %s", got, want)
	}
}

// TestJavaScriptClient: the client in Node, in parts, with a part whose answer is lost and a
// complete whose answer is lost. The second upload of the same file gets the answer of the
// first, another file is refused.
func TestJavaScriptClient(t *testing.T) {
	st := testbed.New(t)
	for size, parts := range map[int]int{1: 1, 20 << 20: 3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			path, content := random(t, "photo.png", size)
			var part, whole atomic.Int32
			st.EveryRequest(func(r *http.Request) s3server.Fault {
				query := r.URL.Query()
				lost := query.Has("partNumber") && r.Method == http.MethodPut && part.Add(1) == 1 ||
					r.Method == http.MethodPost && query.Has("uploadId") && whole.Add(1) == 1
				if lost {
					return s3server.Fault{Kind: s3server.Drop, Apply: true}
				}
				return s3server.Fault{}
			})
			defer st.EveryRequest(nil)
			m := st.Mint(t)
			first, _ := run(t, nodePath(t), "oncegate.mjs", m.URL, path)
			if !strings.HasPrefix(first, fmt.Sprintf("200 %d ", parts)) {
				t.Fatalf("the first upload: %q, want 200 and %d parts", first, parts)
			}
			if st.Stored(t, m.Key) != content {
				t.Error("other bytes are stored than were sent")
			}
			if got := st.StoredHeader(t, m.Key).Get("Content-Type"); got != "image/png" {
				t.Errorf("content-type %q, want image/png", got)
			}
			if part.Load() < 2 || whole.Load() < 2 {
				t.Errorf("%d requests of parts and %d of complete: no fault has struck", part.Load(), whole.Load())
			}
			if again, _ := run(t, nodePath(t), "oncegate.mjs", m.URL, path); again != first {
				t.Errorf("the same upload again: %q, want %q", again, first)
			}
			other, _ := random(t, "photo.png", size+1)
			if got, _ := run(t, nodePath(t), "oncegate.mjs", m.URL, other); got != "403 used useless" {
				t.Errorf("another file: %q, want 403 used useless", got)
			}
			st.WantVersions(t, m.Key, 1)
		})
	}
}

// TestJavaScriptPage: the client in a real browser, where it sends otherwise than in Node and
// preflights come first.
func TestJavaScriptPage(t *testing.T) {
	browser := testbed.Browser(t)
	site := serve(t)
	st := testbed.New(t, func(s *testbed.Setup) { s.Settings["allowedOrigins"] = []string{site} })
	var part atomic.Int32
	st.EveryRequest(func(r *http.Request) s3server.Fault {
		if r.URL.Query().Has("partNumber") && r.Method == http.MethodPut && part.Add(1) == 1 {
			return s3server.Fault{Kind: s3server.Drop, Apply: true}
		}
		return s3server.Fault{}
	})
	path, content := random(t, "photo.png", 20<<20)
	m := st.Mint(t)
	address := site + "/oncegate.html#" + m.URL
	if got := drive(t, browser, address, path); got != "200 parts 3 progress 1" {
		t.Fatalf("the page says %q, want 200 with 3 parts", got)
	}
	if st.Stored(t, m.Key) != content {
		t.Error("other bytes are stored than were sent")
	}
	if part.Load() < 4 {
		t.Errorf("%d requests of parts: no fault has struck", part.Load())
	}
	other, _ := random(t, "photo.png", 6<<20)
	if got := drive(t, browser, address, other); got != "403 used useless" {
		t.Errorf("another file: %q, want 403 used useless", got)
	}
	st.WantVersions(t, m.Key, 1)
}
