package attack

import (
	"net/http"
	"strings"
	"testing"

	"oncegate/internal/evidence/testbed"
)

// TestPrefixes: a URL that was minted for a prefix is good for that one key. Without its prefix,
// with another, and below or above it, it is another URL, which nobody has minted.
func TestPrefixes(t *testing.T) {
	f := newField(t, func(s *testbed.Setup) { s.Settings["prefixes"] = []string{"teams/*"} })
	a := f.Do(t, http.MethodGet, f.Edge.URL()+"/url?prefix=teams/red", nil, nil)
	if a.Status != http.StatusOK {
		t.Fatalf("mint: %v", a)
	}
	m := aim(testbed.ParseMinted(t, a.Body))
	const oneKey = "a URL is good for the key that was minted, and for no other under it, above it or beside it"
	var all []attempt
	for name, p := range map[string]string{
		"without it": "/uploads/@uuid", "half of it": "/uploads/teams/@uuid", "the other half": "/uploads/red/@uuid", "another": "/uploads/teams/blue/@uuid",
		"longer": "/uploads/teams/red/x/@uuid", "longer in front": "/uploads/x/teams/red/@uuid", "twice": "/uploads/teams/red/teams/red/@uuid",
	} {
		all = append(all, attempt{"prefix: " + name, oneKey, edge, put(p + "?@query"), "403 unknown"})
	}
	for name, p := range map[string]string{
		"dot segment": "/uploads/teams/./red/@uuid", "up and back": "/uploads/teams/blue/../red/@uuid", "up out of it": "/uploads/teams/red/../@uuid",
		"up and out": "/uploads/teams/../../signatures/valid/@id", "double slash": "/uploads/teams//red/@uuid", "double slash in front": "/uploads//teams/red/@uuid",
		"encoded slash": "/uploads/teams%2Fred/@uuid", "encoded letter": "/uploads/teams/%72ed/@uuid", "twice encoded slash": "/uploads/teams%252Fred/@uuid",
		"upper case": "/uploads/Teams/red/@uuid", "back slash": `/uploads/teams\red/@uuid`, "encoded dots": "/uploads/teams/%2e%2e/@uuid",
		"below the upload": "/uploads/teams/red/@uuid/@uuid", "slash behind": "/uploads/teams/red/@uuid/", "space": "/uploads/teams/red%20/@uuid",
		"plus": "/uploads/teams/red+/@uuid", "NUL": "/uploads/teams/red%00/@uuid", "a path parameter": "/uploads/teams;x/red/@uuid", "not ASCII": "/uploads/t\u0435ams/red/@uuid",
		"accepted": "/accepted/teams/red/@uuid", "signatures": "/signatures/uploads/teams/red/@uuid", "too long": "/uploads/teams/red/" + strings.Repeat("x", 64) + "/@uuid",
	} {
		all = append(all, attempt{"prefix: " + name, oneKey, edge, put(p + "?@query"), "403 path"})
	}
	all = append(all,
		attempt{"prefix: in the query", "the query of a URL has no options", edge, put(good + "&prefix=teams/blue"), "403 unknown"},
		attempt{"prefix: in a header of the upload, and in the query", "the query of a URL has no options", edge, put(good+"&x-amz-prefix=x", "X-Oncegate-Prefix: teams/blue"), "403 unknown"},
		attempt{"prefix: S3's own host", "S3 knows no such access key", bucket, put(good), "403 InvalidAccessKeyId"},
	)
	f.allWith(t, m, all)
	for _, prefix := range []string{
		"teams", "teams/", "/teams/red", "teams//red", "teams/../signatures", "teams/red/..", "../signatures/valid", "Teams/red", "teams%2Fred", "teams/red ", "teams/%72ed", "teams/re d",
		"teams/red*", "teams/*", "*", "invoices", "teams/" + m.Name, "teams/" + strings.Repeat("x", 59), "teams/\u0440ed", "teams/red\x00", "teams/red\n", `teams\red`, "teams/-", "teams/.", "",
	} {
		query := "/url?prefix=" + strings.NewReplacer("%", "%25", " ", "%20", "\x00", "%00", "\n", "%0a", "*", "%2a", `\`, "%5c", "\u0440", "%d1%80").Replace(prefix)
		if t.Run("minted: "+prefix, func(t *testing.T) {
			f.refused(t, attempt{"", "only what the settings allow is a prefix", edge, head("GET", query), "400 options"}, m)
		}) {
			total.add(1)
		}
	}
	f.untouched(t)
}
