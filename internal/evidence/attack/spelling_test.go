package attack

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"oncegate/internal/onetime/onetimetest"
)

// TestSpellings: a path that S3 or a cache might take for the same one is another path
// here, and a query that is not the minted one in another spelling is refused.
func TestSpellings(t *testing.T) {
	var all []attempt
	const onePath = "another spelling of a path that S3 may decode to the same key would not be in the index, or reach another key"
	for name, p := range map[string]string{
		"double slash in front": "//uploads/@uuid", "double slash within": "/uploads//@uuid", "slash behind": "/uploads/@uuid/",
		"dot segment in front": "/./uploads/@uuid", "dot segment within": "/uploads/./@uuid", "dot segment behind": "/uploads/@uuid/.",
		"up and back": "/uploads/../uploads/@uuid", "up out of url": "/url/../uploads/@uuid", "up from the upload": "/uploads/@uuid/../@uuid",
		"encoded dots": "/x/%2e%2e/uploads/@uuid", "encoded dots, upper case": "/x/%2E%2E/uploads/@uuid", "twice encoded dots": "/x/%252e%252e/uploads/@uuid",
		"encoded slash": "/uploads%2F@uuid", "encoded slash, lower case": "/uploads%2f@uuid", "twice encoded slash": "/uploads%252F@uuid", "encoded slash in front": "/%2Fuploads/@uuid",
		"encoded letter": "/%75ploads/@uuid", "encoded hyphens": "/uploads/%40x", "back slash": `/uploads\@uuid`, "encoded back slash": "/uploads%5C@uuid", "up with back slashes": `/x\..\uploads/@uuid`,
		"encoded NUL": "/uploads/@uuid%00", "encoded NUL and a suffix": "/uploads/@uuid%00.jpg", "overlong UTF-8 slash": "/uploads%c0%af@uuid", "overlong UTF-8 dots": "/x/%c0%ae%c0%ae/uploads/@uuid",
		"overlong UTF-8 slash, raw": "/uploads\xc0\xaf@uuid", "not UTF-8": "/uploads/@uuid\xff", "full-width letters": "/ｕploads/@uuid", "BOM": "/\xef\xbb\xbfuploads/@uuid",
		"soft hyphen": "/uploads/@uuid%C2%AD", "new line": "/uploads/@uuid%0A", "carriage return and line feed": "/uploads/@uuid%0d%0aX-Amz-Acl:%20public-read", "tab behind": "/uploads/@uuid%09", "space behind": "/uploads/@uuid%20", "plus behind": "/uploads/@uuid+",
		"upper-case prefix": "/Uploads/@uuid", "upper-case uuid": "/uploads/@UUID", "braces": "/uploads/{@uuid}", "urn": "/uploads/urn:uuid:@uuid",
		"path parameter": "/uploads/@uuid;x=1", "path parameter before": "/uploads;x=1/@uuid", "suffix": "/uploads/@uuid.html", "dot behind": "/uploads/@uuid.", "below it": "/uploads/@uuid/x",
		"no prefix": "/@uuid", "the prefix alone": "/uploads/", "root": "/", "relative": "/../@uuid", "bucket in the path": "/oncegate-test/uploads/@uuid",
		"a valid entry": "/signatures/valid/@id", "an expired entry": "/signatures/expired/@id", "an expired entry by way of an upload": "/uploads/../signatures/expired/@id", "a key": "/keys/@id",
		"a uuid of another version": "/uploads/00000000-0000-1000-8000-000000000000", "no uuid": "/uploads/x", "mint below": "/url/x",
	} {
		all = append(all, attempt{"path: " + name, onePath, edge, put(p + "?@query"), "403 path"})
	}
	all = append(all,
		attempt{"path: of another object", "a URL is good for one key", edge, put("/uploads/00000000-0000-4000-8000-000000000000?@query"), "403 unknown"},
		attempt{"path: raw NUL", onePath, edge, put("/uploads/@uuid\x00?@query"), "400"},
		attempt{"path: mint by upload", "minting is not uploading", edge, put("/url?@query"), "403 method"},
		attempt{"path: fragment", "what follows # is not the server's", edge, put("@path#?@query"), "400"},
		attempt{"path: empty", "there is no empty path", edge, put("?@query"), "400"},
		attempt{"path: 9000 bytes", "CloudFront refuses what is too long", edge, put("/uploads/" + strings.Repeat("a", 9000) + "?@query"), "413"},
	)

	const oneQuery = "a query that reads as the same one, and is not, would pass with another meaning"
	for name, q := range map[string]string{
		"none": "", "empty": "?", "a second ?": "??@query", "behind a ?": "?@query?", "behind a #": "?@query%23", "behind a ;": "?@query;", "; for &": "?!semicolons",
		"lower-case names": "?!lowered", "upper-case names": "?!raised", "signature in upper case": "?!shouted",
		"escapes escaped": "?!twice", "= escaped": "?!equals", "+ in front": "?+@query", "+ behind": "?@query+", "space behind": "?@query%20", "NUL behind": "?@query%00",
		"signature twice": "?@query&X-Amz-Signature=@signature", "algorithm twice": "?X-Amz-Algorithm=AWS4-HMAC-SHA256&@query", "the whole twice": "?@query&@query", "expires again": "?@query&X-Amz-Expires=604800", "expires again, in front": "?X-Amz-Expires=604800&@query",
		"array": "?@query&X-Amz-Signature[]=@signature", "one parameter more": "?@query&x=1", "one without a value": "?@query&x", "one in front": "?x=1&@query", "one less": "?!less", "x-id of another operation": "?!operation",
		"longer life": "?!longer", "life with a sign": "?!signed life", "life with a zero in front": "?!zero", "dated tomorrow": "?!tomorrow", "another Region": "?!region", "another access key": "?!key", "another service": "?!service", "more signed headers": "?!signed headers", "SigV2": "?AWSAccessKeyId=oncegate&Expires=9999999999&Signature=@signature",
		"another signature": "?!flipped", "no signature": "?!unsigned", "short signature": "?!short", "SigV4A": "?!sigv4a", "a session token": "?@query&X-Amz-Security-Token=x", "unsigned payload": "?@query&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD",
	} {
		all = append(all, attempt{"query: " + name, oneQuery, edge, put("@path" + q), "403 unknown"})
	}
	// A subresource makes another S3 operation of a PUT: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
	for _, sub := range []string{
		"acl", "tagging", "retention", "legal-hold", "torrent", "restore", "select&select-type=2", "attributes", "uploads", "partNumber=1&uploadId=x", "uploadId=x",
		"versionId=null", "versions", "append", "renameObject", "encryption", "policy", "cors", "lifecycle", "versioning", "website", "notification", "replication", "logging",
		"object-lock", "publicAccessBlock", "ownershipControls", "delete", "response-content-type=text/html", "x-amz-acl=public-read", "x-amz-copy-source=/b/k",
		"x-amz-storage-class=GLACIER", "x-amz-tagging=a%3Db", "x-amz-website-redirect-location=/x", "x-amz-object-lock-mode=GOVERNANCE", "x-amz-write-offset-bytes=0", "x-http-method-override=DELETE", "_method=DELETE",
	} {
		const why = "a subresource makes the upload another operation"
		all = append(all,
			attempt{"?" + sub + " behind the query", why, edge, put("@path?@query&" + sub), "403 unknown"},
			attempt{"?" + sub + " before the query", why, edge, put("@path?" + sub + "&@query"), "403 unknown"},
			attempt{"?" + sub + " alone", why, edge, put("@path?" + sub), "403 unknown"})
	}
	f := newField(t)
	f.all(t, respell(all, aim(f.Mint(t))))
}

// TestRespelled: S3 takes a presigned query in every spelling, and so does the gate. All
// spellings are one URL: once one is spent the others are too, and of all at the same time
// one wins.
func TestRespelled(t *testing.T) {
	f := newField(t)
	m := aim(f.Mint(t))
	if a := f.Put(t, m.Minted, "the owner's"); a.Status != http.StatusOK {
		t.Fatalf("as minted: %v", a)
	}
	spellings := onetimetest.Spellings(m.query)
	for _, s := range spellings {
		for _, a := range []attempt{
			{"spent: " + s.Name, "a spelling of a spent URL is spent", edge, put("@path?" + s.Query), "403 used"},
			{"at S3: " + s.Name, "no spelling makes a minted URL a credential", bucket, put("@path?" + s.Query), "403 InvalidAccessKeyId"},
		} {
			if t.Run(a.name, func(t *testing.T) { f.refused(t, a, m) }) {
				total.add(1)
			}
		}
	}
	f.WantClaims(t, m.ID, 1)
	f.WantVersions(t, m.Key, 1)

	for range 10 {
		m := aim(f.Mint(t))
		answers := make([]string, len(spellings))
		var racing sync.WaitGroup
		for i, s := range onetimetest.Spellings(m.query) {
			racing.Go(func() {
				text := f.fill(attempt{wire: request("PUT", "@path?"+s.Query) + strings.Repeat("x", len(marker))}, m)
				answers[i] = verdict("PUT", f.speak(t, edge, text))
			})
		}
		racing.Wait()
		slices.Sort(answers)
		if answers[0] != "200" || answers[1] != "403 used" || answers[len(answers)-1] != "403 used" {
			t.Errorf("all spellings at the same time are answered %v, want one 200", answers)
		}
		f.WantClaims(t, m.ID, 1)
		f.WantVersions(t, m.Key, 1)
	}
	f.untouched(t)
}

// respell returns the attempts that are made from a minted query. They get a URL of their
// own, which is never sent as it was minted.
func respell(all []attempt, m target) []attempt {
	replace := func(old, new string) string { return strings.Replace(m.query, old, new, 1) }
	parameters := strings.Split(m.query, "&")
	named := func(change func(string) string) string {
		var changed []string
		for _, p := range parameters {
			name, value, _ := strings.Cut(p, "=")
			changed = append(changed, change(name)+"="+value)
		}
		return strings.Join(changed, "&")
	}
	at := strings.Index(m.query, "X-Amz-Expires=") + len("X-Amz-Expires=")
	life := m.query[at : at+strings.IndexByte(m.query[at:], '&')]
	at = strings.Index(m.query, "X-Amz-Date=") + len("X-Amz-Date=")
	date := m.query[at : at+len("20060102T150405Z")]
	signature := m.query[len(m.query)-64:]
	forged := flip(signature)
	queries := map[string]string{
		"semicolons": strings.ReplaceAll(m.query, "&", ";"),
		"lowered":    named(strings.ToLower), "raised": named(strings.ToUpper), "shouted": replace(signature, strings.ToUpper(signature)),
		"twice": strings.ReplaceAll(m.query, "%", "%25"), "equals": replace("=", "%3D"),
		"less": strings.Join(parameters[:len(parameters)-2], "&") + "&" + parameters[len(parameters)-1], "operation": replace("x-id=PutObject", "x-id=GetObject"),
		"longer": replace("X-Amz-Expires="+life, "X-Amz-Expires=604800"), "signed life": replace("X-Amz-Expires=", "X-Amz-Expires=+"), "zero": replace("X-Amz-Expires=", "X-Amz-Expires=0"),
		"tomorrow": strings.ReplaceAll(m.query, date[:8], "20990101"), "region": replace("us-east-1", "eu-west-1"), "key": replace("oncegate%2F", "ONCEGATETESTKEY%2F"), "service": replace("%2Fs3%2F", "%2Fsts%2F"),
		"signed headers": replace("SignedHeaders=host", "SignedHeaders=host%3Bx-amz-acl"), "flipped": replace(signature, forged), "unsigned": replace("&X-Amz-Signature="+signature, ""), "short": strings.TrimSuffix(m.query, signature[32:]),
		"sigv4a": replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
	}
	for i, a := range all {
		for name, query := range queries {
			if marked := "@path?!" + name + " "; strings.Contains(a.wire, marked) {
				all[i].wire = strings.Replace(a.wire, marked, "/"+m.Key+"?"+query+" ", 1)
			}
		}
	}
	return all
}

// flip changes the last hex digit.
func flip(signature string) string {
	last := "0"
	if strings.HasSuffix(signature, "0") {
		last = "1"
	}
	return signature[:len(signature)-1] + last
}
