package clients

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
)

// pythonMint is what the driver prints of a mint, or of why there is none.
type pythonMint struct {
	URL, ID, Expires      string
	Headers               map[string]string
	Stored                int
	Kind, Reason, Message string
}

func mintByPython(t *testing.T, args ...string) (m pythonMint) {
	t.Helper()
	out, diagnostics := run(t, testbed.Program(t, "python3"), append([]string{"mint.py"}, args...)...)
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		t.Fatalf("it prints %q: %v\n%s", out, err, diagnostics)
	}
	return m
}

// TestPythonModule: the client is one file for Python 3.9 and later that needs nothing else.
func TestPythonModule(t *testing.T) {
	python := with(t, "Python 3.10", []string{"python3"}, "-c", "import sys; sys.stdlib_module_names")
	if out, diagnostics := run(t, python, "module.py"); out != "" || diagnostics != "" {
		t.Errorf("the client %s\n%s", out, diagnostics)
	}
}

// TestPythonMint: options and credentials arrive, and a refusal has the deployment's sentence.
func TestPythonMint(t *testing.T) {
	st := testbed.New(t, func(s *testbed.Setup) { s.Settings["auth"] = "api-key" })
	key, _ := st.APIKey(t, "python")
	order := `{"expires": 60, "type": "image/png", "maxBytes": 10}`
	file, content := random(t, "photo.jpg", 10) // the URL's type counts, and not that of the name
	m := mintByPython(t, st.Edge.URL(), order, "key="+key, "file="+file)
	parsed := testbed.ParseMinted(t, m.URL)
	if string(parsed.ID) != m.ID || m.Headers["content-type"] != "image/png" || m.Stored != 10 || st.Stored(t, parsed.Key) != content {
		t.Errorf("%+v, want a URL with id %s for image/png, and 10 bytes stored", m, parsed.ID)
	}
	if _, err := time.Parse(time.RFC3339, m.Expires); err != nil {
		t.Error(err)
	}
	large, _ := random(t, "photo.png", 11)
	if m := mintByPython(t, st.Edge.URL(), order, "key="+key, "file="+large); m.Kind != "Refused" || m.Reason != "too-large" || !strings.Contains(m.Message, "at most 10 bytes") {
		t.Errorf("11 bytes: %+v, want too-large and how many bytes there may be", m)
	}
	if m := mintByPython(t, st.Edge.URL(), "{}", "key="+key, "give_up=yes"); m.Kind != "Refused" || m.Reason != "revoked" {
		t.Errorf("given up: %+v, want revoked", m)
	}
	for name, tt := range map[string]struct {
		args   []string
		reason string
		says   string
	}{
		"no key":        {[]string{st.Edge.URL(), "{}"}, "credential-missing", "credential"},
		"another key":   {[]string{st.Edge.URL(), "{}", "key=" + key[:len(key)-1] + "x"}, "credential-invalid", "is not valid here"},
		"an option":     {[]string{st.Edge.URL(), `{"expires": -1}`, "key=" + key}, "options", "expires"},
		"two lines":     {[]string{st.Edge.URL(), "{}", "key=" + key + "\nx: y"}, "", "a character that none has"},
		"by plain http": {[]string{"http://uploads.example.com", "{}", "key=" + key}, "", "plain http"},
	} {
		m := mintByPython(t, tt.args...)
		if m.URL != "" || m.Kind == "" || m.Reason != tt.reason || !strings.Contains(m.Message, tt.says) {
			t.Errorf("%s: %+v, want %q and %q", name, m, tt.reason, tt.says)
		}
		if strings.Contains(m.Message, key[4:20]) {
			t.Errorf("%s: the error has the key", name)
		}
	}
}

// TestPythonClient: 20 MiB in parts, with a part and a complete whose answers get lost in S3. The
// same file again, in another process, gets the same answer.
func TestPythonClient(t *testing.T) {
	st := testbed.New(t)
	var part, whole atomic.Int32
	st.EveryRequest(func(r *http.Request) s3server.Fault {
		query := r.URL.Query()
		if query.Has("partNumber") && r.Method == http.MethodPut && part.Add(1) == 1 || r.Method == http.MethodPost && query.Has("uploadId") && whole.Add(1) == 1 {
			return s3server.Fault{Kind: s3server.Drop, Apply: true}
		}
		return s3server.Fault{}
	})
	file, content := random(t, "photo.png", 20<<20)
	m := st.Mint(t)
	for range 2 {
		if got := uploaders["python"](t, m.URL, file, "null", 8<<20); got.Failed || got.Parts != 3 {
			t.Fatalf("%+v, want 3 parts", got)
		}
	}
	if st.Stored(t, m.Key) != content {
		t.Error("other bytes are stored than were sent")
	}
	if got := st.StoredHeader(t, m.Key).Get("Content-Type"); got != "image/png" {
		t.Errorf("content-type %q, want image/png", got)
	}
	if part.Load() < 4 || whole.Load() < 2 {
		t.Errorf("%d requests of parts and %d of complete: no fault has struck", part.Load(), whole.Load())
	}
	st.WantVersions(t, m.Key, 1)
}
