package page

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/edge/setup"
	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/invite"
	"oncegate/internal/local/cloudfront"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
	"oncegate/internal/s3sdk"
)

const root = "../../.."

// file is one that a person chooses.
type file struct {
	Path   string `json:"path"`
	Name   string `json:"name"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
}

// result is what a scenario says of the files that were stored: the paths of their URLs.
type result struct {
	Stored map[string]string `json:"stored"` // name of the file -> key of the object
	Notes  []string          `json:"notes"`
}

// scenarios are those of testdata/scenarios.mjs, each with what it must store.
var scenarios = map[string][]string{
	"single":          {"medium.bin"},
	"noLink":          nil,
	"unknownLinks":    nil,
	"threeFiles":      {"one.txt", "medium.bin"},
	"reload":          {"medium.bin"},
	"reloadSingle":    {"medium.bin"},
	"secondDevice":    {"one.txt", "two.txt"},
	"full":            {"one.txt"},
	"cancel":          {"one.txt"},
	"revoked":         {"one.txt"},
	"expired":         {"one.txt"},
	"offline":         {"medium.bin"},
	"ways":            nil,
	"keyboard":        {"one.txt"},
	"languages":       nil,
	"small":           {"one.txt"},
	"hostileName":     nil,
	"receipt":         {"one.txt"},
	"clickToFirst":    nil,
	"embedded":        nil,
	"refusedByServer": nil,
	"doesNotLoad":     nil,
	"remark":          {"one.txt"},
}

// TestScenarios: what people do on the page, in a real browser. In every state axe finds
// nothing to object to, the browser reports no error and no breach of the policy, and
// nothing has to be scrolled sideways.
func TestScenarios(t *testing.T) {
	browser := testbed.Browser(t)
	st := testbed.New(t)
	s := newSite(t, st)
	files := somefiles(t)
	for name, want := range scenarios {
		t.Run(name, func(t *testing.T) {
			got := run(t, browser, s, name, files)
			for _, note := range got.Notes {
				t.Log(note)
			}
			if len(got.Stored) != len(want) {
				t.Errorf("stored %v, want %v", got.Stored, want)
			}
			for _, name := range want {
				content := st.Stored(t, got.Stored[name])
				sum := sha256.Sum256([]byte(content))
				if hex.EncodeToString(sum[:]) != files[name].SHA256 {
					t.Errorf("%s: other bytes are stored than were chosen", name)
				}
				st.WantVersions(t, got.Stored[name], 1)
			}
		})
	}
}

// TestInvitation: the page with an invitation that the mint answers for and the bucket holds.
func TestInvitation(t *testing.T) {
	browser := testbed.Browser(t)
	st := testbed.New(t)
	bucket := s3sdk.New(s3servertest.Bucket, s3servertest.Region, st.S3.URL(),
		credentials.NewStaticCredentialsProvider(s3servertest.AccessKey, s3servertest.SecretKey, ""))
	conf, err := config.Parse([]byte(`{"bucket": "` + s3servertest.Bucket + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	keeper := &invite.Keeper{
		Ledger: s3index.NewInvitations(bucket), Clock: setup.Clock{}, Entropy: crand.Reader, Keep: conf.Deploy.KeepsEntries(),
		Closer: &onetime.Closer{Records: bucket.Ledger(), Clock: setup.Clock{}, Entropy: crand.Reader},
	}
	soon := func() time.Time { return time.Now().Add(30 * time.Second) }
	token, id, _, err := keeper.Create(t.Context(), invite.Record{Label: "Acme, invoices May", Uploads: 2, Limits: onetime.Limits{MaxBytes: 25e6}}, soon())
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, st)
	s.revoke = func() error { return keeper.Revoke(t.Context(), id, soon()) }
	t.Setenv("TOKEN", token)
	files := somefiles(t)
	got := run(t, browser, s, "invitation", files)
	if len(got.Stored) != 2 {
		t.Errorf("stored %v, want two", got.Stored)
	}
	for name, key := range got.Stored {
		if len(st.Stored(t, key)) != files[name].Size {
			t.Errorf("%s: other bytes are stored than were chosen", name)
		}
		st.WantVersions(t, key, 1)
	}
}

// TestOwner: the page with all that its owner can say of it, in the frame of another page.
func TestOwner(t *testing.T) {
	browser := testbed.Browser(t)
	var s *site
	embedder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!DOCTYPE html><title>x</title><iframe width="600" height="900" src="%s/upload#%s"></iframe>`, s.URL, html.EscapeString(r.URL.Query().Get("link")))
	}))
	t.Cleanup(embedder.Close)
	s = newSite(t, testbed.New(t, func(s *testbed.Setup) {
		s.Settings["page"] = map[string]any{
			"title": "Send us <your> files", "accent": "#ffd400", "contact": "files@example.com", "privacyUrl": "https://example.com/privacy",
			"logo":    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 20"><rect width="60" height="20" rx="4" fill="#0a7b55"/></svg>`,
			"embedBy": []string{embedder.URL},
		}
	}))
	t.Setenv("EMBEDDER", embedder.URL)
	if got := run(t, browser, s, "owner", somefiles(t)); len(got.Stored) != 1 {
		t.Errorf("stored %v", got.Stored)
	}
}

// TestWithoutParts: with "multipart": false a file is one PUT, and what breaks off may have
// been stored.
func TestWithoutParts(t *testing.T) {
	browser := testbed.Browser(t)
	st := testbed.New(t, func(s *testbed.Setup) { s.Settings["multipart"] = false })
	got := run(t, browser, newSite(t, st), "whole", somefiles(t))
	if len(got.Stored) != 1 {
		t.Errorf("stored %v", got.Stored)
	}
}

var screenshots = flag.String("screenshots", "", "write screenshots into this directory")

// TestScreenshots makes the pictures of docs/page.md: make screenshots.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("they are made by make screenshots")
	}
	directory, err := filepath.Abs(*screenshots)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SCREENSHOTS", directory)
	run(t, testbed.Browser(t), newSite(t, testbed.New(t)), "screenshots", somefiles(t))
}

// somefiles makes the files, by name.
func somefiles(t *testing.T) map[string]file {
	t.Helper()
	dir := t.TempDir()
	random := rand.NewChaCha8([32]byte{1})
	files := map[string]file{}
	for name, size := range map[string]int{"one.txt": 1, "two.txt": 2, "empty.txt": 0, "medium.bin": 20 << 20, "large.bin": 26 << 20, "photo.png": 100} {
		content := make([]byte, size)
		_, _ = random.Read(content)
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		files[name] = file{path, name, size, hex.EncodeToString(sum[:])}
	}
	return files
}

// run plays one scenario.
func run(t *testing.T, browser string, s *site, name string, files map[string]file) result {
	t.Helper()
	node, err := cloudfront.FindNode(root, cloudfront.Node22)
	if err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(map[string]any{"scenario": name, "site": s.URL, "files": files, "browser": browser, "directory": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "testdata/run.mjs")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // on which the browser is closed
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var got result
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v in %.200s\n%s", err, stdout.String(), stderr.String())
	}
	return got
}
