package examples

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/cloudfront"
	"oncegate/internal/local/s3server"
)

const root = "../../.."

// file is one to upload, named as a photo.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "photo.jpg")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// command runs an example to its end, and returns its exit status and what it printed.
func command(t *testing.T, st *testbed.Stack, name string, args ...string) (status int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "ONCEGATE_URL="+st.Edge.URL(), "ONCEGATE_KEY=")
	out, err := cmd.CombinedOutput()
	st.CheckLeak(t, string(out))
	t.Logf("%s\n%s", strings.Join(cmd.Args, " "), out)
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// clients are the examples for a terminal, each by what runs it with a file.
var clients = map[string]func(t *testing.T, st *testbed.Stack, file string) (status int, output string){
	"curl": func(t *testing.T, st *testbed.Stack, file string) (int, string) {
		testbed.Program(t, "curl")
		return command(t, st, testbed.Program(t, "bash"), "examples/curl/upload.sh", file)
	},
	"go": func(t *testing.T, st *testbed.Stack, file string) (int, string) {
		return command(t, st, testbed.Program(t, "go"), "run", "./examples/go", file)
	},
	"python": func(t *testing.T, st *testbed.Stack, file string) (int, string) {
		return command(t, st, testbed.Program(t, "python3"), "examples/python/upload.py", file)
	},
}

// TestClients: each example for a terminal stores what it was given, and says so.
func TestClients(t *testing.T) {
	st := testbed.New(t)
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			uploads := watch(st)
			content := "photo of " + name
			status, output := client(t, st, file(t, content))
			if status != 0 {
				t.Errorf("exit status %d, want 0", status)
			}
			if name == "curl" {
				for _, line := range []string{"as text/plain: 415 type", "as image/jpeg: 200 ", "once more:     403 used"} {
					if !strings.Contains(output, line+"\n") {
						t.Errorf("%q is not in the output", line)
					}
				}
			}
			uploads.want(t, st, content)
		})
	}
}

// TestClientsLostAnswer: the upload is stored and S3's answer is lost. No example says
// that it is not stored.
func TestClientsLostAnswer(t *testing.T) {
	st := testbed.New(t)
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			uploads := watch(st)
			uploads.loseAnswer.Store(true)
			content := "photo of " + name
			status, output := client(t, st, file(t, content))
			if status != 1 || !strings.Contains(output, "may be stored") {
				t.Errorf("exit status %d, want 1 and that the file may be stored", status)
			}
			uploads.want(t, st, content)
		})
	}
}

// TestClientsUnavailable: the index cannot be read, and nothing is spent. The examples
// say that the same request may be sent again.
func TestClientsUnavailable(t *testing.T) {
	st := testbed.New(t)
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			st.EveryRequest(func(r *http.Request) s3server.Fault {
				if r.Method == http.MethodHead {
					return s3server.Fault{Kind: s3server.Answer, Status: http.StatusServiceUnavailable}
				}
				return s3server.Fault{}
			})
			status, output := client(t, st, file(t, "photo"))
			if status != 1 || !strings.Contains(strings.ToLower(output), "nothing is spent") {
				t.Errorf("exit status %d, want 1 and that nothing is spent", status)
			}
		})
	}
}

// uploads are the PUTs of objects that reach S3.
type uploads struct {
	keys       chan string
	began      chan struct{} // the first has
	loseAnswer atomic.Bool   // of the next one
}

func watch(st *testbed.Stack) *uploads {
	u := &uploads{keys: make(chan string, 100), began: make(chan struct{})}
	var once sync.Once
	st.EveryRequest(func(r *http.Request) s3server.Fault {
		i := strings.Index(r.URL.Path, "uploads/")
		if r.Method != http.MethodPut || i < 0 {
			return s3server.Fault{}
		}
		u.keys <- r.URL.Path[i:]
		once.Do(func() { close(u.began) })
		if u.loseAnswer.CompareAndSwap(true, false) {
			return s3server.Fault{Kind: s3server.Drop, Apply: true}
		}
		return s3server.Fault{}
	})
	return u
}

// want holds S3 to exactly these contents, in the order in which they came.
func (u *uploads) want(t *testing.T, st *testbed.Stack, contents ...string) {
	t.Helper()
	st.EveryRequest(nil)
	if len(u.keys) != len(contents) {
		t.Errorf("%d uploads reached S3, want %d", len(u.keys), len(contents))
	}
	for _, content := range contents {
		select {
		case key := <-u.keys:
			if stored := st.Stored(t, key); stored != content {
				t.Errorf("stored %.40q, want %.40q", stored, content)
			}
		default:
			return
		}
	}
}

// serve serves a folder of examples as its own origin, the ONCEGATE of each script set
// to what oncegate returns.
func serve(t *testing.T, dir string, oncegate func() string) (page string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "index.html"
		}
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		text = bytes.ReplaceAll(text, []byte("http://localhost:8080"), []byte(oncegate()))
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// drive has a person choose files on a page, and returns the lines that say how their
// uploads ended.
func drive(t *testing.T, page, line string, files ...string) (lines []string) {
	t.Helper()
	return driveThen(t, page, line, nil, "", files...)
}

// driveThen does so and, when the channel is closed, what then says: "reload", "pause" or
// nothing.
func driveThen(t *testing.T, page, line string, at <-chan struct{}, then string, files ...string) (lines []string) {
	t.Helper()
	node, err := cloudfront.FindNode(root, cloudfront.Node22)
	if err != nil {
		t.Fatal(err)
	}
	waits := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-at:
		case <-r.Context().Done():
		}
	}))
	defer waits.Close()
	input, err := json.Marshal(map[string]any{"files": files, "line": line, "at": waits.URL, "then": then, "ended": `Stored|Not stored|may be stored|No URL|Nothing is spent`})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "testdata/drive.mjs", testbed.Browser(t), t.TempDir(), page)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // on which a browser is closed
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("drive the browser: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(stdout.Bytes(), &lines); err != nil {
		t.Fatalf("drive the browser: %v in %.200s\n%s", err, stdout.String(), stderr.String())
	}
	t.Logf("the page says %q\n%s", lines, stderr.String())
	return lines
}

// allow lets pages of this origin upload.
func allow(page string) testbed.Option {
	return func(s *testbed.Setup) { s.Settings["allowedOrigins"] = []string{page} }
}

// TestBrowser: the page stores a file and says so; and where the answer is lost it does
// not say that nothing is stored.
func TestBrowser(t *testing.T) {
	testbed.Browser(t)
	var oncegate string
	page := serve(t, filepath.Join(root, "examples/browser"), func() string { return oncegate })
	st := testbed.New(t, allow(page))
	oncegate = st.Edge.URL()

	for name, loseAnswer := range map[string]bool{"stored": false, "lost answer": true} {
		t.Run(name, func(t *testing.T) {
			uploads := watch(st)
			uploads.loseAnswer.Store(loseAnswer)
			lines := drive(t, page, "#status", file(t, name))
			if want := map[bool]string{false: "Stored.", true: "It may be stored."}[loseAnswer]; !strings.HasPrefix(lines[0], want) {
				t.Errorf("the page says %q, want %q", lines[0], want)
			}
			uploads.want(t, st, name)
		})
	}

	t.Run("another origin", func(t *testing.T) {
		stranger := serve(t, filepath.Join(root, "examples/browser"), func() string { return oncegate })
		if lines := drive(t, stranger, "#status", file(t, "x")); !strings.HasPrefix(lines[0], "No URL") {
			t.Errorf("the page says %q, want that there is no URL", lines[0])
		}
	})
}

// TestUppy: Uppy stores two files; a file of which much is missing when the connection
// breaks is stored once, with a second URL; a file that may be stored is not sent again.
func TestUppy(t *testing.T) {
	testbed.Browser(t)
	var oncegate string
	page := serve(t, bundle(t), func() string { return oncegate })
	st := testbed.New(t, allow(page))
	edge, err := url.Parse(st.Edge.URL())
	if err != nil {
		t.Fatal(err)
	}

	t.Run("stored", func(t *testing.T) {
		oncegate = st.Edge.URL()
		uploads := watch(st)
		lines := drive(t, page, "li", file(t, "one"), second(t, "two"))
		for _, line := range lines {
			if !strings.HasSuffix(line, "Stored.") {
				t.Errorf("the page says %q, want Stored.", line)
			}
		}
		if len(uploads.keys) != 2 {
			t.Errorf("%d uploads reached S3, want 2", len(uploads.keys))
		}
	})

	t.Run("lost answer", func(t *testing.T) {
		oncegate = st.Edge.URL()
		uploads := watch(st)
		uploads.loseAnswer.Store(true)
		lines := drive(t, page, "li", file(t, "three"))
		if !strings.Contains(lines[0], "It may be stored.") {
			t.Errorf("the page says %q, want that it may be stored", lines[0])
		}
		uploads.want(t, st, "three")
	})

	t.Run("broken connection", func(t *testing.T) {
		uploads := watch(st)
		line := newBadLine(t, edge.Host, uploads.began)
		oncegate = "http://" + line.address
		content := strings.Repeat("x", 32<<20)
		lines := drive(t, page, "li", file(t, content))
		if !strings.HasSuffix(lines[0], "Stored.") {
			t.Errorf("the page says %q, want Stored.", lines[0])
		}
		if n := line.large.Load(); n < 2 {
			t.Errorf("%d large uploads, want one that is cut off and others", n)
		}
		stored := 0
		st.EveryRequest(nil)
		for len(uploads.keys) > 0 {
			versions, _ := st.Versions(t, <-uploads.keys)
			stored += versions
		}
		if stored != 1 {
			t.Errorf("%d objects are stored, want 1", stored)
		}
	})
}

func second(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "second.png")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bundle makes the page of Uppy, and returns the folder that it is in.
func bundle(t *testing.T) string {
	t.Helper()
	source, dir := filepath.Join(root, "examples/uppy"), t.TempDir()
	if _, err := os.Stat(filepath.Join(source, "node_modules")); err != nil {
		t.Fatalf("`make examples` fetches Uppy: %v", err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(source, "node_modules/.bin/esbuild"), filepath.Join(source, "upload.js"), filepath.Join(source, "parts.js"),
		"--bundle", "--format=esm", "--outdir="+dir).CombinedOutput()
	if err != nil {
		t.Fatalf("bundle: %v\n%s", err, out)
	}
	for _, name := range []string{"index.html", "parts.html"} {
		html, err := os.ReadFile(filepath.Join(source, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), html, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
