//go:build linux

package e2e

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/onetime"
)

// TestMultipartPage runs the blocks of docs/multipart.md as they are printed: by curl alone
// a file goes in three parts, one of them cut and sent again.
func TestMultipartPage(t *testing.T) {
	testbed.Program(t, "curl")
	st := testbed.New(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "multipart.md"))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllSubmatch(page, -1) {
		script.Write(block[1])
		script.WriteString("echo; echo ===\n")
	}
	dir := t.TempDir()
	content := bytes.Repeat([]byte("oncegate"), 18<<20/8)
	if err := os.WriteFile(filepath.Join(dir, "big.bin"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	etag := regexp.MustCompile(`(?m)^    (etag=.*)$`).FindSubmatch(page)
	if etag == nil {
		t.Fatal("docs/multipart.md does not say how to compute the etag")
	}
	out := bash(t, dir, "export ONCEGATE_URL="+st.Edge.URL()+"\n"+script.String()+string(etag[1])+"\necho $etag\necho $url")
	blocks := strings.Split(out, "===\n")
	if len(blocks) != 4 {
		t.Fatalf("%d blocks in\n%s", len(blocks), out)
	}
	if !strings.Contains(blocks[1], "broken off") {
		t.Errorf("nothing broke off:\n%s", blocks[1])
	}
	list := regexp.MustCompile(`^1 8388608 [0-9a-f]{32}\n2 8388608 [0-9a-f]{32}\n3 2097152 [0-9a-f]{32}(\d+)\n([0-9a-f]{32}-3)(\d+)\n([0-9a-f]{32}-3)(.*)`).FindStringSubmatch(blocks[2])
	if list == nil || list[1] != "18874368" || list[3] != list[1] || list[4] != list[2] || !strings.HasPrefix(list[5], "Forbidden: this URL has already been used") {
		t.Errorf("the last block prints\n%s", blocks[2])
	}
	lines := strings.Fields(blocks[3])
	if list != nil && lines[0] != list[2] {
		t.Errorf("the recipe's etag is %s, S3's %s", lines[0], list[2])
	}
	key := regexp.MustCompile(`uploads/[0-9a-f-]{36}`).FindString(lines[1])
	if got := st.Stored(t, key); sha256.Sum256([]byte(got)) != sha256.Sum256(content) {
		t.Errorf("%d bytes are stored, want those of the file", len(got))
	}
	st.WantVersions(t, key, 1)
}

// uploadInParts uploads content as one part, each request with these headers.
func uploadInParts(t *testing.T, st *testbed.Stack, m testbed.Minted, header http.Header, content string) {
	t.Helper()
	for _, request := range []struct{ method, more, body string }{{http.MethodPost, "&uploads", ""}, {http.MethodPut, "&partNumber=1", content}, {http.MethodPost, "&complete", ""}} {
		if a := st.Do(t, request.method, m.URL+request.more, header.Clone(), strings.NewReader(request.body)); a.Status != http.StatusOK {
			t.Fatalf("%s: %v", request.more, a)
		}
	}
}

// TestMultipartRace: completes, PUTs and a DELETE with one URL at once, through real Node
// against the real S3 server. One of the three wins, and completes agree.
func TestMultipartRace(t *testing.T) { testbed.EachIndex(t, multipartRace) }

func multipartRace(t *testing.T, index string) {
	st := testbed.New(t, testbed.In(index))
	for range rounds(t, index)/20 + 1 {
		m := st.Mint(t)
		if a := st.Do(t, http.MethodPost, m.URL+"&uploads", nil, nil); a.Status != http.StatusOK {
			t.Fatalf("start: %v", a)
		}
		if a := st.Do(t, http.MethodPut, m.URL+"&partNumber=1", nil, strings.NewReader("in parts")); a.Status != http.StatusOK {
			t.Fatalf("part: %v", a)
		}
		var group sync.WaitGroup
		var mu sync.Mutex
		partless := false // S3 drops the parts of a URL that is given up one after the other
		won := map[string]map[string]int{"PUT": {}, "POST": {}, "DELETE": {}}
		for i := range 21 {
			group.Go(func() {
				method, url, body := http.MethodPost, m.URL+"&complete", ""
				switch {
				case i == 0:
					method, url = http.MethodDelete, m.URL
				case i%2 == 0:
					method, url, body = http.MethodPut, m.URL, "in one"
				}
				a := st.Do(t, method, url, nil, strings.NewReader(body))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case a.Status == http.StatusOK && method == http.MethodPut:
					won[method]["stored"]++
				case a.Status == http.StatusOK:
					won[method][a.Body]++
				case a.Reason() == string(onetime.Incomplete) && method == http.MethodPost:
					partless = true
				case a.Status != http.StatusAccepted && a.Reason() != "used" && a.Reason() != "revoked" && a.Reason() != "index-unavailable":
					t.Errorf("%s: %v", method, a)
				}
			})
		}
		group.Wait()
		kinds := 0
		for method, answers := range won {
			if len(answers) > 1 || method == http.MethodPut && answers["stored"] > 1 {
				t.Errorf("%s was answered %v", method, answers)
			}
			if len(answers) > 0 {
				kinds++
			}
		}
		objects := 1
		if len(won[http.MethodDelete]) == 1 {
			objects = 0
		}
		if kinds != 1 || partless && len(won[http.MethodDelete]) == 0 {
			t.Errorf("winners: %v, a complete saw no parts: %v", won, partless)
		}
		st.WantVersions(t, m.Key, objects)
		st.WantClaims(t, m.ID, 1)
		tallies[index].races.Add(1)
	}
}
