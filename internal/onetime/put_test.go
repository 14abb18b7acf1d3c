package onetime_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

const aUUID = "2b1d9bd0-5b0c-4b6e-9d7e-0a1b2c3d4e5f"

// change is a way to spoil, or not to spoil, a good upload.
type change struct {
	name string
	do   func(*onetime.Put)
}

func setPath(path string) change {
	return change{path, func(p *onetime.Put) { p.Path = path }}
}

func setHeader(name string, values ...string) change {
	shown := strings.Join(values, " | ")
	if len(shown) > 40 {
		shown = fmt.Sprintf("%s… (%d bytes)", shown[:20], len(shown))
	}
	return change{name + ": " + shown, func(p *onetime.Put) {
		p.Headers.(headers)[name] = values
	}}
}

// replaced replaces a part of the query; it fails the test if the part is missing.
func replaced(t *testing.T, name, old, new string) change {
	return change{name, func(p *onetime.Put) {
		if !strings.Contains(p.Query, old) {
			t.Errorf("%s: the query holds no %q: %s", name, old, p.Query)
		}
		p.Query = strings.Replace(p.Query, old, new, 1)
	}}
}

func setQuery(name string, f func(query string) string) change {
	return change{name, func(p *onetime.Put) { p.Query = f(p.Query) }}
}

// TestStep1 spoils a good upload in one way at a time. No request to the index is
// made, so nothing is spent: the same URL passes afterwards.
func TestStep1(t *testing.T) {
	upper := strings.ToUpper(aUUID)
	for _, group := range []struct {
		reason  onetime.Reason
		changes []change
	}{
		{onetime.Method, func() (changes []change) {
			for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "PATCH", "OPTIONS", "put", "PUT ", ""} {
				changes = append(changes, change{fmt.Sprintf("%q", method), func(p *onetime.Put) { p.Method = method }})
			}
			return changes
		}()},

		{onetime.Path, []change{
			setPath(""), setPath("/"), setPath("/uploads"), setPath("/uploads/"), setPath("/url"),
			setPath("uploads/" + aUUID), setPath(aUUID),
			setPath("//uploads/" + aUUID), setPath("/uploads//" + aUUID),
			setPath("/./uploads/" + aUUID), setPath("/uploads/./" + aUUID), setPath("/uploads/../uploads/" + aUUID),
			setPath("/uploads/a//" + aUUID), setPath("/uploads/../" + aUUID), setPath("/uploads/a/../" + aUUID), setPath("/uploads/A/" + aUUID),
			setPath("/uploads/a.b/" + aUUID), setPath("/uploads/a%2fb/" + aUUID), setPath("/uploads/-/" + aUUID), setPath("/uploads/" + aUUID + "/" + aUUID),
			setPath("/uploads/" + strings.Repeat("a", 65) + "/" + aUUID), setPath("/uploads/a b/" + aUUID), setPath("/uploads/*/" + aUUID),
			setPath("/uploads/" + aUUID + "/"), setPath("/uploads/" + aUUID + "/."), setPath("/uploads/" + aUUID + " "),
			setPath("/uploads/" + aUUID + "?"), setPath("/uploads/" + aUUID + "#"), setPath("/uploads/" + aUUID + "\x00"),
			setPath("/uploads%2f" + aUUID), setPath("/%75ploads/" + aUUID), setPath("/uploads/%32" + aUUID[1:]),
			setPath("/uploads/%2e/" + aUUID), setPath("/uploads/" + strings.ReplaceAll(aUUID, "-", "%2d")),
			setPath("/Uploads/" + aUUID), setPath("/uploads/" + upper), setPath("/uploads/" + aUUID[:35] + "F"),
			setPath("/other/" + aUUID), setPath("/signatures/valid/" + aUUID), setPath("/bucket/uploads/" + aUUID),
			setPath("/uploads/{" + aUUID + "}"), setPath("/uploads/urn:uuid:" + aUUID),
			setPath("/uploads/" + strings.ReplaceAll(aUUID, "-", "")),
			setPath("/uploads/2b1d9bd0-5b0c-1b6e-9d7e-0a1b2c3d4e5f"), // version 1
			setPath("/uploads/2b1d9bd0-5b0c-7b6e-9d7e-0a1b2c3d4e5f"), // version 7
			setPath("/uploads/2b1d9bd0-5b0c-4b6e-1d7e-0a1b2c3d4e5f"), // another variant
			setPath("/uploads/00000000-0000-0000-0000-000000000000"),
			setPath("/uploads/" + aUUID[:35]), setPath("/uploads/" + aUUID + "0"), setPath("/uploads/" + aUUID + ".jpg"),
		}},

		{onetime.Unknown, []change{
			setQuery("none", func(string) string { return "" }),
			setQuery("question mark", func(q string) string { return "?" + q }),
			setQuery("garbage", func(string) string { return "&&==%zz\x00" }),
			setQuery("unknown field", func(q string) string { return q + "&response-content-type=text/html" }),
			setQuery("field in the middle", func(q string) string { return strings.Replace(q, "&x-id=", "&versionId=1&x-id=", 1) }),
			setQuery("sub-resource", func(q string) string { return "acl&" + q }),
			setQuery("whole query twice", func(q string) string { return q + "&" + q }),
			setQuery("signature cut off", func(q string) string { return q[:strings.Index(q, "&X-Amz-Signature")] }),
			setQuery("signature twice", func(q string) string { return q + q[strings.Index(q, "&X-Amz-Signature"):] }),
			setQuery("signature in upper case", func(q string) string {
				i := strings.LastIndexByte(q, '=')
				return q[:i] + strings.ToUpper(q[i:])
			}),
			setQuery("signature one digit short", func(q string) string { return q[:len(q)-1] }),
			setQuery("signature one digit long", func(q string) string { return q + "0" }),
			setQuery("signature no hex", func(q string) string { return q[:len(q)-1] + "g" }),
			setQuery("lower case", strings.ToLower),
			setQuery("escaped twice", func(q string) string { return strings.ReplaceAll(q, "%2F", "%252F") }),
			setQuery("escaped all over", url.QueryEscape),
			setQuery("semicolons", func(q string) string { return strings.ReplaceAll(q, "&", ";") }),
			setQuery("plus", func(q string) string { return strings.Replace(q, "AWS4-HMAC", "AWS4+HMAC", 1) }),
			setQuery("space", func(q string) string { return q + " " }),
			replaced(t, "algorithm", "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
			replaced(t, "algorithm missing", "X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""),
			replaced(t, "field without value", "X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm"),
			replaced(t, "access key", "=oncegate%2F", "=AKIAIOSFODNN7EXAMPLE%2F"),
			replaced(t, "access key empty", "=oncegate%2F", "=%2F"),
			replaced(t, "credential's day", "oncegate%2F20260304", "oncegate%2F20260305"),
			replaced(t, "credential's region", onetimetest.Region, "us-east-1"),
			replaced(t, "credential's service", "%2Fs3%2F", "%2Fsns%2F"),
			replaced(t, "credential's end", "aws4_request", "aws5_request"),
			replaced(t, "date of another day", "X-Amz-Date=20260304", "X-Amz-Date=20260305"),
			replaced(t, "date impossible", "X-Amz-Date=20260304", "X-Amz-Date=20260230"),
			replaced(t, "date with a fraction", "T050607Z", "T050607.5Z"),
			replaced(t, "date with a zone", "T050607Z", "T050607+0000"),
			replaced(t, "date empty", "X-Amz-Date=20260304T050607Z", "X-Amz-Date="),
			replaced(t, "expires missing", "&X-Amz-Expires=3600", ""),
			replaced(t, "expires empty", "X-Amz-Expires=3600", "X-Amz-Expires="),
			replaced(t, "expires 0", "X-Amz-Expires=3600", "X-Amz-Expires=0"),
			replaced(t, "expires negative", "X-Amz-Expires=3600", "X-Amz-Expires=-1"),
			replaced(t, "expires with a sign", "X-Amz-Expires=3600", "X-Amz-Expires=%2B3600"),
			replaced(t, "expires with a bare sign", "X-Amz-Expires=3600", "X-Amz-Expires=+3600"),
			replaced(t, "expires with a leading zero", "X-Amz-Expires=3600", "X-Amz-Expires=03600"),
			replaced(t, "expires 604801", "X-Amz-Expires=3600", "X-Amz-Expires=604801"),
			replaced(t, "expires a fraction", "X-Amz-Expires=3600", "X-Amz-Expires=3600.0"),
			replaced(t, "expires huge", "X-Amz-Expires=3600", "X-Amz-Expires=99999999999999999999"),
			replaced(t, "expires twice", "X-Amz-Expires=3600", "X-Amz-Expires=3600&X-Amz-Expires=3600"),
			replaced(t, "signed headers", "SignedHeaders=host", "SignedHeaders=content-length%3Bhost"),
			replaced(t, "session token", "&X-Amz-SignedHeaders", "&X-Amz-Security-Token=t&X-Amz-SignedHeaders"),
			replaced(t, "another operation", "x-id=PutObject", "x-id=GetObject"),
			replaced(t, "no operation", "&x-id=PutObject", ""),
		}},

		{onetime.LengthRequired, []change{
			{"no content-length", func(p *onetime.Put) { delete(p.Headers.(headers), "content-length") }},
			setHeader("content-length", "5", "6"), setHeader("content-length", "5", "5"),
			setHeader("content-length", ""), setHeader("content-length", "+5"), setHeader("content-length", "-1"),
			setHeader("content-length", "5,5"), setHeader("content-length", "5, 5"), setHeader("content-length", " 5"),
			setHeader("content-length", "5 "), setHeader("content-length", "0x5"), setHeader("content-length", "5.0"),
			setHeader("content-length", "5e0"), setHeader("content-length", "1_000"), setHeader("content-length", "٥"),
			setHeader("content-length", "５"), setHeader("content-length", "five"),
			setHeader("transfer-encoding", "chunked"), setHeader("transfer-encoding", "identity"), setHeader("transfer-encoding", ""),
		}},

		{onetime.TooLarge, []change{
			setHeader("content-length", "5368709121"),
			setHeader("content-length", "18446744073709551615"),
			setHeader("content-length", "18446744073709551617"), // 1 to whoever drops what is over 64 bits
			setHeader("content-length", "99999999999999999999"),
			setHeader("content-length", strings.Repeat("9", 400)),
		}},
	} {
		for _, change := range group.changes {
			t.Run(string(group.reason)+"/"+change.name, func(t *testing.T) {
				err := refusedUnspent(t, change)
				if got := reasonOf(t, err); got != group.reason {
					t.Errorf("reason %q (%v), want %q", got, err, group.reason)
				}
			})
		}
	}
}

// refusedUnspent sends an upload that the change has spoilt, and returns what the gate
// says of it. The index must not be asked, and the URL must be good afterwards.
func refusedUnspent(t *testing.T, change change) error {
	t.Helper()
	w := newWorld(t)
	minted := w.mint(t)
	put := upload(minted, "ours")
	change.do(&put)
	gate, index := w.gate(onetime.Conditional)
	_, err := gate.Decide(t.Context(), put, w.deadline())
	if tally := index.Tally(); tally != "" {
		t.Errorf("index requests: %s", tally)
	}
	if _, err := gate.Decide(t.Context(), upload(minted, "again"), w.deadline()); err != nil {
		t.Errorf("the URL is spent: %v", err)
	}
	return err
}

// TestStep1Accepts: what the upload may have besides.
func TestStep1Accepts(t *testing.T) {
	for _, change := range []change{
		setHeader("content-length", "0"),
		setHeader("content-length", "5368709120"),
		setHeader("host", "anything"),
	} {
		t.Run(change.name, func(t *testing.T) {
			w := newWorld(t)
			put := upload(w.mint(t), "ours")
			change.do(&put)
			gate, _ := w.gate(onetime.Conditional)
			if _, err := gate.Decide(t.Context(), put, w.deadline()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestExpirySecond: a URL is good until, and not at, the second that it names.
func TestExpirySecond(t *testing.T) {
	for _, test := range []struct {
		at    time.Duration // after the URL was minted
		want  onetime.Reason
		calls string
	}{
		{-24 * time.Hour, "", claimed1}, // the minting clock was ahead: the index decides
		{life - 1, "", claimed1},
		{life, onetime.Expired, ""},
		{life + 1, onetime.Expired, ""},
		{life + 1000*time.Hour, onetime.Expired, ""},
	} {
		t.Run(test.at.String(), func(t *testing.T) {
			w := newWorld(t)
			minted := w.mint(t)
			w.clock.Set(start.Add(test.at))
			gate, index := w.gate(onetime.Conditional)
			_, err := gate.Decide(t.Context(), upload(minted, "ours"), w.deadline())
			if got := reasonOf(t, err); got != test.want {
				t.Errorf("reason %q, want %q", got, test.want)
			}
			if tally := index.Tally(); tally != test.calls {
				t.Errorf("index requests %q, want %q", tally, test.calls)
			}
		})
	}
}
