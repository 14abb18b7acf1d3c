package dynamoserver_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/dynamoserver/dynamoservertest"
)

// kept starts a table that keeps its items in dir.
func kept(t *testing.T, dir string) (*dynamoserver.Server, *dynamodb.Client) {
	t.Helper()
	server := dynamoservertest.New(t, func(o *dynamoserver.Options) { o.Dir = dir })
	return server, dynamoservertest.Client(server)
}

func journalOf(dir string) string { return filepath.Join(dir, dynamoservertest.Table+".jsonl") }

// TestRestart: every answered write outlives the server, as it was at that moment: nothing is
// written when it ends.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	_, c := kept(t, dir)
	write := func(k item, expression, condition string, values item) {
		t.Helper()
		if _, err := c.UpdateItem(t.Context(), update(k, expression, condition, values)); err != nil {
			t.Fatal(err)
		}
	}
	a, b, gone, late := key("url#a", "a"), key("url#a", "b"), key("url#a", "gone"), key("url#a", "late")
	write(a, "SET valid = :v, expires = :e", "", item{":v": s(`{"a":"<&>"}`), ":e": n(1764269429)})
	write(a, "SET claim = :c", "attribute_not_exists(claim)", item{":c": s("c")})
	write(b, "SET valid = :v, claim = :v", "", item{":v": s("v")})
	write(b, "REMOVE claim", "", nil)
	write(gone, "SET valid = :v", "", item{":v": s("v")})
	write(late, "SET valid = :v, forget = :f", "", item{":v": s("v"), ":f": n(time.Now().Unix() - 10)})
	if _, err := c.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(dynamoservertest.Table), Key: gone}); err != nil {
		t.Fatal(err)
	}
	if len(get(t, c, late)) == 0 {
		t.Error("an item whose time has passed is gone before the next start")
	}
	want := []map[string]string{get(t, c, a), get(t, c, b)}
	// The files as they are now are what a crash leaves.
	crashed := t.TempDir()
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, again := range []string{"after a crash", "and a second start"} {
		_, c = kept(t, crashed)
		for i, k := range []item{a, b} {
			if got := get(t, c, k); !equal(got, want[i]) {
				t.Errorf("%s: %v, want %v", again, got, want[i])
			}
		}
		for _, k := range []item{gone, late} {
			if got := get(t, c, k); len(got) != 0 {
				t.Errorf("%s: %v is there", again, got)
			}
		}
		if _, err := c.UpdateItem(t.Context(), update(a, "SET claim = :c", "attribute_not_exists(claim)", item{":c": s("c")})); err == nil {
			t.Errorf("%s: the claim is forgotten", again)
		}
	}
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		if a[name] != b[name] {
			return false
		}
	}
	return true
}

// TestTornJournal: half of a last line is of a write that was never answered. Any other line
// that cannot be read ends the start.
func TestTornJournal(t *testing.T) {
	dir := t.TempDir()
	server, c := kept(t, dir)
	for _, sort := range []string{"a", "b"} {
		if _, err := c.UpdateItem(t.Context(), update(key("url#a", sort), "SET claim = :c", "", item{":c": s("c")})); err != nil {
			t.Fatal(err)
		}
	}
	server.Close()
	text, err := os.ReadFile(journalOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	for cut := 1; cut < len(lines[1]); cut += 7 {
		if err := os.WriteFile(journalOf(dir), []byte(lines[0]+lines[1][:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		server, c := kept(t, dir)
		if a, b := get(t, c, key("url#a", "a")), get(t, c, key("url#a", "b")); len(a) == 0 || len(b) != 0 && cut < len(lines[1]) {
			t.Errorf("cut at %d: %v, %v", cut, a, b)
		}
		server.Close()
	}
	if err := os.WriteFile(journalOf(dir), []byte("{\n"+lines[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	o := dynamoservertest.Options()
	o.Dir = dir
	if _, err := dynamoserver.Start(o); err == nil || !strings.Contains(err.Error(), "line 1 of "+journalOf(dir)) {
		t.Errorf("a line that cannot be read: %v", err)
	}
}
