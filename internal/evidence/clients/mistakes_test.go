package clients

import (
	"strings"
	"testing"

	"oncegate/internal/evidence/testbed"
)

// mistake is an upload that is not what its sender means, and how it is refused.
type mistake struct {
	upload client
	want   string
}

var mistakes = map[string]mistake{
	// A probe without a body comes first, to be asked for the credential.
	"curl --digest":               {curl("--digest", "-u", "me:secret", "-T", "FILE"), "400 too-small"},
	"curl --digest --data-binary": {curl("--digest", "-u", "me:secret", "-X", "PUT", "--data-binary", "@FILE"), "400 too-small"},
	"curl --ntlm":                 {curl("--ntlm", "-u", "me:secret", "-T", "FILE"), "400 too-small"},

	// A form would be stored with its boundaries, or as nothing.
	"curl -X PUT -F":       {curl("-X", "PUT", "-F", "file=@FILE"), "400 header"},
	"curl -F":              {curl("-F", "file=@FILE"), "403 method"},
	"PHP array":            {php("array.php"), "400 header"},
	"Python requests form": {python("requests", "requests_form.py"), "400 header"},
	"Node axios form":      {node("form"), "400 header"},

	// The tail would be stored as the whole.
	"curl -C": {curl("-C", "5", "-T", "FILE"), "400 header"},

	// No length is known.
	"curl -T from standard input": {curl("-T", "-"), "411 length-required"},
}

// TestMistakes: nothing is stored and nothing is spent, and the URL takes the file after
// that.
func TestMistakes(t *testing.T) {
	st := testbed.New(t)
	for name, m := range mistakes {
		t.Run(name, func(t *testing.T) { m.refused(t, st) })
	}
}

// TestProbe: where a URL takes an empty file, the probe is the upload, and the file that
// curl sends after it is refused.
func TestProbe(t *testing.T) {
	st := testbed.New(t)
	file, _ := recording(t)
	a := st.Do(t, "GET", st.Edge.URL()+"/url?minBytes=0", nil, nil)
	minted := testbed.ParseMinted(t, a.Body)
	if got := curl("--digest", "-u", "me:secret", "-T", "FILE")(t, minted.URL, file); got != "403 used" {
		t.Errorf("%q, want 403 used", got)
	}
	if stored := st.Stored(t, minted.Key); stored != "" {
		t.Errorf("%d bytes are stored, want an empty object", len(stored))
	}
	st.WantClaims(t, minted.ID, 1)
}

func (m mistake) refused(t *testing.T, st *testbed.Stack) {
	file, content := recording(t)
	minted := st.Mint(t)
	if got := m.upload(t, minted.URL, file); got != m.want {
		t.Errorf("%q, want %q", got, m.want)
	}
	st.WantVersions(t, minted.Key, 0)
	st.WantClaims(t, minted.ID, 0)
	if a := st.Do(t, "PUT", minted.URL, nil, strings.NewReader(content)); a.Status != 200 || st.Stored(t, minted.Key) != content {
		t.Errorf("the file itself, after that: %v", a)
	}
}
