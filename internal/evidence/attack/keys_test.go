package attack

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestPrefixes: a URL that was minted for a prefix is good for that one key. Without its prefix,
// with another, and below or above it, it is another URL, which nobody has minted.
func TestPrefixes(t *testing.T) {
	f := newField(t, func(s *testbed.Setup) { s.Settings["prefixes"] = []string{"teams/*"} })
	m := f.order(t, "?prefix=teams/red")
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

// TestMetadata: an uploader can neither alter nor omit the metadata of a URL, nor add to it.
func TestMetadata(t *testing.T) {
	f := newField(t)
	mint := func(t *testing.T) target { return f.order(t, "?meta=order%3D17") }
	var all []attempt
	const queryWhy = "the query of a URL is the minted one, and what the gate signs is made of the entry"
	for _, more := range []string{"x-amz-meta-order=18", "X-Amz-Meta-Order=18", "x-amz-meta-order=17", "x-amz-meta-mine=1", "meta=order%3D18", "x-amz-meta-=1", "x-amz-tagging=a%3Db", "x-amz-meta-order"} {
		all = append(all,
			attempt{"query: " + more, queryWhy, edge, put(good + "&" + more), "403 unknown"},
			attempt{"query, in front: " + more, queryWhy, edge, put("@path?" + more + "&@query"), "403 unknown"},
			attempt{"start: " + more, queryWhy, edge, head("POST", good+"&uploads&"+more, "Content-Length: 0"), anyhow},
			attempt{"S3's own host: " + more, "S3 knows no such access key", bucket, put(good + "&" + more), "403 InvalidAccessKeyId"},
		)
	}
	f.allWith(t, mint(t), all)
	for _, header := range []string{
		"x-amz-meta-order: 18", "X-Amz-Meta-Order: 18", "X-AMZ-META-ORDER: 18", "x-amz-meta-order:", "x-amz-meta-order: 17", "x-amz-meta-mine: 1", "x-amz-meta-: 1", "x-amz-meta-oncegate-version: 1",
		"x-amz-metadata-directive: REPLACE", "x-amz-tagging: a=b", "x-amz-missing-meta: 1", "x-amz-meta-order: 17\r\nx-amz-meta-order: 18", "Connection: x-amz-meta-order",
		"x-amz-website-redirect-location: /x", "x-amz-storage-class: GLACIER", "x_amz_meta_order: 18", "meta: order=18",
	} {
		t.Run("header: "+header, func(t *testing.T) {
			m := mint(t)
			answer := f.speak(t, edge, f.fill(attempt{wire: head("PUT", good, header, "Content-Length: 11") + "the owner's"}, m))
			f.CheckLeak(t, string(answer))
			if got := verdict("PUT", answer); got != "200" {
				t.Errorf("answered %q, want 200", got)
			}
			out, err := s3servertest.Client(f.S3).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &m.Key})
			if err != nil || len(out.Metadata) != 1 || out.Metadata["order"] != "17" || aws.ToInt32(out.TagCount) != 0 || out.WebsiteRedirectLocation != nil {
				t.Errorf("stored with %+v, %v", out, err)
			}
			if !t.Failed() {
				total.add(1)
			}
		})
	}
	for _, meta := range []string{
		"order", "=1", "order%3D", "Order%3D1", "order%3D1%26order%3D2", "order%3D1%26%2561rder%3D2%26order%3D3", "a%3D%250d%250ax-amz-acl:public-read", "a%3D%0d%0ax-amz-acl:%20public-read", "a%3D%00",
		"oncegate-version%3D1", "a%20b%3D1", "a%3D%2520", "a%253D1", "%C3%A4%3D1", "a%3D%C3%A4", "a%3D" + strings.Repeat("x", 1024), strings.Repeat("a", 33) + "%3D1",
	} {
		if t.Run("minted: "+meta[:min(len(meta), 40)], func(t *testing.T) {
			f.refused(t, attempt{"", "what is minted cannot become another header", edge, head("GET", "/url?meta="+meta), "400 options"}, target{})
		}) {
			total.add(1)
		}
	}
	f.untouched(t)
}

// TestTags: an uploader can neither alter nor omit the tags of a URL, nor add to them, in one PUT or in parts.
func TestTags(t *testing.T) {
	f := newField(t, func(s *testbed.Setup) {
		s.Settings["tags"], s.Settings["storageClass"] = []string{"project"}, "STANDARD_IA"
	})
	mint := func(t *testing.T) target { return f.order(t, "?tags=project%3Dblue") }
	var all []attempt
	const queryWhy = "the query of a URL is the minted one, and what the gate signs is made of the entry"
	for _, more := range []string{"x-amz-tagging=project%3Dred", "X-Amz-Tagging=project%3Dred", "x-amz-tagging=", "tags=project%3Dred", "tagging", "tagging=", "x-amz-tagging-directive=REPLACE"} {
		all = append(all,
			attempt{"query: " + more, queryWhy, edge, put(good + "&" + more), "403 unknown"},
			attempt{"query, in front: " + more, queryWhy, edge, put("@path?" + more + "&@query"), "403 unknown"},
			attempt{"start: " + more, queryWhy, edge, head("POST", good+"&uploads&"+more, "Content-Length: 0"), anyhow},
			attempt{"part: " + more, queryWhy, edge, put(good + "&partNumber=1&" + more), anyhow},
			attempt{"S3's own host: " + more, "S3 knows no such access key", bucket, put(good + "&" + more), "403 InvalidAccessKeyId"},
		)
	}
	f.allWith(t, mint(t), all)
	headers := []string{
		"x-amz-tagging: project=red", "X-Amz-Tagging: project=red", "X-AMZ-TAGGING: project=blue", "x-amz-tagging:", "x-amz-tagging: mine=1", "x-amz-tagging: project=blue&mine=1",
		"x-amz-tagging: oncegate=accepted", "x-amz-tagging: project=blue\r\nx-amz-tagging: mine=1", "Connection: x-amz-tagging", "x-amz-tagging-directive: REPLACE", "x-amz-tagging-count: 0",
		"x_amz_tagging: project=red", "tagging: project=red",
	}
	for _, header := range headers {
		t.Run("header: "+header, func(t *testing.T) {
			m := mint(t)
			f.step(t, m, head("PUT", good, header, "Content-Length: 11")+"the owner's", "PUT")
			f.wantTags(t, m.Key)
		})
	}
	for _, tags := range []string{
		"project", "=1", "project%3D", "Project%3D1", "project%3D1%26project%3D2", "project%3D1%26%2570roject%3D2", "project%3D%250d%250ax-amz-acl:public-read", "project%3D%0d%0ax-amz-acl:%20public-read",
		"project%3D%00", "oncegate%3Daccepted", "OnceGate%3Daccepted", "aws:x%3D1", "AWS:x%3D1", "project%3D%2520", "project%3Da%2526b", "project%3Da%26", "project%3D%25ff", "project%3D" + strings.Repeat("x", 257),
		"project%3D" + strings.Repeat("%25F0%259D%2592%25B3", 129), "other%3D1", "project%3D1%26other%3D1",
	} {
		if t.Run("minted: "+tags[:min(len(tags), 40)], func(t *testing.T) {
			f.refused(t, attempt{"", "what is minted cannot become another tag, nor another header", edge, head("GET", "/url?tags="+tags), "400 options"}, target{})
		}) {
			total.add(1)
		}
	}
	f.untouched(t)
	for _, header := range headers {
		t.Run("in parts, header: "+header, func(t *testing.T) {
			m := mint(t)
			f.step(t, m, head("POST", good+"&uploads", header, "Content-Length: 0"), "POST")
			f.step(t, m, head("PUT", good+"&partNumber=1", header, "Content-Length: 11")+"the owner's", "PUT")
			f.step(t, m, head("POST", good+"&complete", header, "Content-Length: 0"), "POST")
			f.wantTags(t, m.Key)
		})
	}
}

// step sends a request with a URL that must succeed.
func (f *field) step(t *testing.T, m target, wire, method string) {
	t.Helper()
	answer := f.speak(t, edge, f.fill(attempt{wire: wire}, m))
	f.CheckLeak(t, string(answer))
	if got := verdict(method, answer); got != "200" {
		t.Errorf("answered %q, want 200", got)
	}
}

// wantTags checks that an object has the tag that was minted, and no other.
func (f *field) wantTags(t *testing.T, key string) {
	t.Helper()
	if got := s3servertest.Tags(t, f.S3, key); len(got) != 1 || got["project"] != "blue" {
		t.Errorf("stored with the tags %v", got)
	}
	if !t.Failed() {
		total.add(1)
	}
}
