package onetime_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"oncegate/internal/onetime"
)

var aSum = base64.StdEncoding.EncodeToString([]byte("sixteen bytes!!!"))

// headerSentences are refusals: what is sent, and a part of what the client reads.
var headerSentences = []struct {
	sentence string
	changes  []change
}{
	{"the body is framed as aws-chunked", []change{
		setHeader("content-encoding", "aws-chunked"), setHeader("content-encoding", "AWS-Chunked"),
		setHeader("content-encoding", "gzip, aws-chunked"), setHeader("content-encoding", "gzip", "aws-chunked"),
		setHeader("x-amz-decoded-content-length", "5"),
		setHeader("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
		setHeader("x-amz-content-sha256", "streaming-unsigned-payload-trailer"),
		setHeader("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
	}},
	{"content-md5 is not the base64 of the 16 bytes", []change{
		setHeader("content-md5", ""), setHeader("content-md5", "garbage!"), setHeader("content-md5", aSum[:22]),
		setHeader("content-md5", base64.StdEncoding.EncodeToString(make([]byte, 15))),
		setHeader("content-md5", base64.StdEncoding.EncodeToString(make([]byte, 17))),
		setHeader("content-md5", strings.Repeat("0", 32)), setHeader("content-md5", aSum, aSum),
		setHeader("content-md5", " "+aSum), setHeader("content-md5", aSum+"\r\n"), setHeader("content-md5", aSum[:10]+"\n"+aSum[10:]),
		setHeader("content-md5", aSum[:21]+"R=="), // the same 16 bytes to a decoder that does not look at the last bits
	}},
	{"content-range says that this is a part of a file", []change{
		setHeader("content-range", "bytes 5-9/10"), setHeader("content-range", "bytes 0-4/10"), setHeader("content-range", "bytes 0-4/*"),
		setHeader("content-range", "bytes */5"), setHeader("content-range", "bytes 0-3/5"), setHeader("content-range", ""),
		setHeader("content-range", "0-4/5"), setHeader("content-range", "items 0-4/5"), setHeader("content-range", "bytes 00-4/5"),
		setHeader("content-range", "bytes 0-4/5", "bytes 0-4/5"),
		{"content-range of nothing", func(p *onetime.Put) {
			p.Headers.(headers)["content-length"], p.Headers.(headers)["content-range"] = []string{"0"}, []string{"bytes 0--1/0"}
		}},
	}},
	{"range says that this is a part of a file", []change{
		setHeader("range", "bytes=5-"), setHeader("range", "bytes=0-3"), setHeader("range", "bytes=-5"), setHeader("range", "bytes=0-1,2-4"), setHeader("range", ""),
	}},
	{"upload-offset says that this is a part of a file", []change{setHeader("upload-offset", "5"), setHeader("upload-offset", ""), setHeader("upload-offset", "0", "0")}},
	{"upload-complete says that this is a part of a file", []change{setHeader("upload-complete", "?0"), setHeader("upload-complete", "1")}},
	{"upload-incomplete says that this is a part of a file", []change{setHeader("upload-incomplete", "?1")}},
	{"a header says that this is a part of a file", []change{
		setHeader("oc-chunked", "1"), setHeader("x-update-range", "append"), setHeader("x-amz-write-offset-bytes", "5"),
	}},
	{"a header asks for another method than PUT", []change{
		setHeader("x-http-method-override", "DELETE"), setHeader("x-http-method", "PATCH"), setHeader("x-method-override", "POST"), setHeader("x-http-method-override", ""),
	}},
	{"if-match asks to replace", []change{setHeader("if-match", `"x"`), setHeader("if-match", "*")}},
	{"x-amz-copy-source asks for a copy", []change{
		setHeader("x-amz-copy-source", "/bucket/key"), setHeader("x-amz-copy-source", ""), setHeader("x-amz-copy-source-range", "bytes=0-1"),
		setHeader("x-amz-copy-source-if-match", "x"),
	}},
	{"x-amz-object-lock-* asks for a lock", []change{
		setHeader("x-amz-object-lock-mode", "COMPLIANCE"), setHeader("x-amz-object-lock-retain-until-date", "2099-01-01T00:00:00Z"), setHeader("x-amz-object-lock-legal-hold", "ON"),
	}},
	{"x-amz-server-side-encryption-* asks for a key", []change{
		setHeader("x-amz-server-side-encryption-customer-algorithm", "AES256"), setHeader("x-amz-server-side-encryption-customer-key", "x"),
		setHeader("x-amz-server-side-encryption-customer-key-md5", "x"), setHeader("x-amz-server-side-encryption-aws-kms-key-id", "x"),
	}},
	{"x-amz-server-side-encryption asks for an encryption", []change{setHeader("x-amz-server-side-encryption", "aws:kms"), setHeader("x-amz-server-side-encryption", "aws:kms:dsse")}},
	{"the body is a form", []change{
		setHeader("content-type", "multipart/form-data"), setHeader("content-type", "Multipart/Form-Data; boundary=x"),
		setHeader("content-type", "\tmultipart/form-data ;boundary=x"), setHeader("content-type", "text/plain", "multipart/form-data"),
		setHeader("content-type", "text/plain, multipart/form-data; boundary=x"),
	}},
	{"content-type says that this is a part of a file", []change{setHeader("content-type", "multipart/byteranges; boundary=x"), setHeader("content-type", "MULTIPART/BYTERANGES")}},
	{"content-type holds a character that no type has", []change{
		setHeader("content-type", "\u0130mage/png"), setHeader("content-type", "\u00a0image/png"), setHeader("content-type", "image/png\u0085"),
		setHeader("content-type", "image/\u00e9"), setHeader("content-type", "image/png\x00"), setHeader("content-type", "image/png\x7f"),
		setHeader("content-type", "image/png\n"), setHeader("content-type", "image/pn\u212a"), setHeader("content-type", "image/png; name=\xff"),
	}},
	{"a header holds a control character", []change{
		setHeader("content-disposition", "attachment\x00"), setHeader("cache-control", "no\rcache"), setHeader("expires", "\x1b[2J"), setHeader("content-language", "de\x7f"), setHeader("origin", "x\n"),
	}},
	{"have more than 2048 bytes together", []change{
		setHeader("content-type", strings.Repeat("a", 2048-len("content-type")+1)),
		setHeader("cache-control", strings.Repeat("a", 1000), strings.Repeat("b", 1100)),
		{"metadata in several headers", func(p *onetime.Put) {
			for _, name := range []string{"content-type", "content-disposition", "content-language", "expires"} {
				p.Headers.(headers)[name] = []string{strings.Repeat("a", 512)}
			}
		}},
	}},
	{"have more than 6144 bytes together", []change{
		setHeader("origin", strings.Repeat("a", 6<<10-len("origin")+1)), setHeader("via", strings.Repeat("a", 6<<10-len("via")+1)),
		setHeader("cdn-loop", strings.Repeat("a", 6<<10-len("cdn-loop")+1)),
	}},
}

// TestRefusedHeaders spoils a good upload by one header at a time. The index is not
// asked, so nothing is spent, and the sentence names the rule and repeats nothing.
func TestRefusedHeaders(t *testing.T) {
	for _, group := range headerSentences {
		for _, change := range group.changes {
			t.Run(change.name, func(t *testing.T) {
				err := refusedUnspent(t, change)
				refusal, _ := errors.AsType[*onetime.Refusal](err)
				if refusal == nil || refusal.Reason != onetime.Header || !strings.Contains(refusal.Detail, group.sentence) {
					t.Fatalf("%v, want header: %s", err, group.sentence)
				}
				if strings.HasSuffix(refusal.Detail, ".") {
					t.Errorf("sentence %q ends by itself", refusal.Detail)
				}
			})
		}
	}
}

// TestHeadersOfGoodUploads: what clients send and what changes nothing.
func TestHeadersOfGoodUploads(t *testing.T) {
	for _, change := range []change{
		setHeader("content-encoding", "gzip"), setHeader("content-encoding", ""),
		setHeader("content-md5", aSum),
		setHeader("content-range", "bytes 0-4/5"), setHeader("content-range", " BYTES 0-4/5"),
		setHeader("range", "bytes=0-"), setHeader("range", "bytes=0-4"),
		setHeader("upload-offset", "0"), setHeader("upload-complete", "?1"), setHeader("upload-incomplete", "?0"),
		setHeader("x-http-method-override", "PUT"), setHeader("x-http-method", "put"),
		setHeader("x-amz-server-side-encryption", "AES256"),
		setHeader("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
		setHeader("content-type", ""), setHeader("content-type", "undefined"), setHeader("content-type", "multipart/form-dat"), setHeader("content-type", "multipart/mixed"),
		setHeader("content-type", "image/png;\tq=1"), setHeader("content-type", "text/html; x=multipart/form-data"),
		setHeader("content-type", strings.Repeat("a", 2048-len("content-type"))),
		setHeader("content-disposition", "attachment; filename=\"\u00e9\xff\""), // S3 takes bytes over 0x7F
		setHeader("content-language", "de\t, en"),
		setHeader("origin", strings.Repeat("a", 6<<10-len("origin"))),
		setHeader("authorization", "Bearer x"),
		setHeader("x-amz-meta-colour", strings.Repeat("x", 9000)), // not forwarded
		setHeader("x-forwarded-for", strings.Repeat("x", 9000)),
		setHeader("if-none-match", "*"), setHeader("expect", "100-continue"), setHeader("digest", "\x00"),
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

// TestOneOfSeveralHeaders: the same upload is always told the same.
func TestOneOfSeveralHeaders(t *testing.T) {
	for range 20 {
		w := newWorld(t)
		put := upload(w.mint(t), "ours")
		for _, name := range []string{"if-match", "range", "x-update-range", "content-range", "oc-chunked", "x-method-override"} {
			put.Headers.(headers)[name] = []string{"x"}
		}
		gate, _ := w.gate(onetime.Conditional)
		_, err := gate.Decide(t.Context(), put, w.deadline())
		if refusal, _ := errors.AsType[*onetime.Refusal](err); refusal == nil || !strings.HasPrefix(refusal.Detail, "content-range ") {
			t.Fatalf("%v, want the first of the table, content-range", err)
		}
	}
}

// TestForwarded: an allow list. CloudFront's own headers may not be touched.
func TestForwarded(t *testing.T) {
	want := map[string]bool{
		"cache-control": true, "content-disposition": true, "content-encoding": true, "content-language": true, "content-md5": true,
		"content-type": true, "expires": true, "origin": true,
		"cdn-loop": true, "content-length": true, "host": true, "transfer-encoding": true, "via": true,
	}
	for name := range want {
		if !onetime.Forwarded(name) {
			t.Errorf("%s is dropped", name)
		}
	}
	for _, name := range []string{
		"", "Content-Type", "accept", "accept-encoding", "authorization", "cookie", "user-agent", "referer", "x-forwarded-for", "x-forwarded-host", "forwarded", "te",
		"date", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range", "content-range", "content-location", "prefer",
		"digest", "want-digest", "want-repr-digest", "content-digest", "repr-digest", "traceparent", "x-amzn-trace-id", "x-oncegate", "content-typ", "content-type2",
		"x-amz-", "x-amz-acl", "x-amz-meta-a", "x-amz-meta-!", "x-amz-tagging", "x-amz-checksum-sha256", "x-amz-date", "x-amz-security-token", "cloudfront-viewer-country",
		"access-control-request-headers", "access-control-request-method", "x-http-method-override", "upload-offset", "\xff",
	} {
		if onetime.Forwarded(name) {
			t.Errorf("%s is forwarded", name)
		}
	}
}

func TestRefusesHeader(t *testing.T) {
	for name, want := range map[string]bool{
		"if-match": true, "oc-chunked": true, "x-update-range": true, "x-amz-copy-source": true, "x-amz-copy-source-range": true, "x-amz-copy-source-!": true,
		"x-amz-object-lock-mode": true, "x-amz-server-side-encryption-customer-key": true, "x-amz-write-offset-bytes": true,
		"content-range": false, "range": false, "x-http-method": false, "content-type": false, "authorization": false, "x-amz-acl": false,
		"x-amz-server-side-encryption": false, "x-amz-copy-sourc": false, "": false,
	} {
		if got := onetime.RefusesHeader(name); got != want {
			t.Errorf("RefusesHeader(%q) = %t, want %t", name, got, want)
		}
	}
}

// FuzzHeader: whatever one header says, either nothing is asked of the index, or the
// upload passes; and what reaches S3 holds no control character.
func FuzzHeader(f *testing.F) {
	for _, group := range headerSentences {
		for _, change := range group.changes {
			if name, value, ok := strings.Cut(change.name, ": "); ok && !strings.Contains(value, "…") {
				f.Add(name, value)
			}
		}
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if name = strings.ToLower(name); name == "content-length" || name == "transfer-encoding" {
			return
		}
		w := newWorld(t)
		minted := w.mint(t)
		put := upload(minted, "r")
		put.Headers.(headers)[name] = []string{value}
		gate, index := w.gate(onetime.Conditional)
		_, err := gate.Decide(t.Context(), put, w.deadline())
		switch {
		case err != nil:
			if refusal, _ := errors.AsType[*onetime.Refusal](err); refusal == nil || refusal.Reason != onetime.Header || refusal.Detail == "" {
				t.Errorf("%v, want header with a sentence", err)
			}
			if tally := index.Tally(); tally != "" {
				t.Errorf("index requests: %s", tally)
			}
		case onetime.RefusesHeader(name):
			t.Error("passes")
		case onetime.Forwarded(name) && name != "host":
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) || len(name)+len(value) > 6<<10 {
				t.Errorf("S3 gets %q", value)
			}
		}
	})
}

// TestReplacedHeaderIsNotMeasured: of a header that the gate sets in place of the
// client's, only the gate's own counts.
func TestReplacedHeaderIsNotMeasured(t *testing.T) {
	w := newWorld(t)
	put := upload(w.order(t, onetime.Order{Name: strings.Repeat("\u00e9", 100)}), "ours")
	put.Headers.(headers)["content-disposition"] = []string{strings.Repeat("a", 1800)}
	gate, _ := w.gate(onetime.Conditional)
	if _, err := gate.Decide(t.Context(), put, w.deadline()); err != nil {
		t.Error(err)
	}
}
