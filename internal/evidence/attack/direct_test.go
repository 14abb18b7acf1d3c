package attack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestAtS3: a minted URL is worth nothing where there is no gate: at the bucket's own host,
// and on a distribution whose gate was taken off. Nor is anything that can be made of it.
func TestAtS3(t *testing.T) {
	for name, at := range map[string]place{"bucket": bucket, "path": path, "open": open} {
		t.Run(name, func(t *testing.T) {
			var options []testbed.Option
			if at == open {
				options = append(options, func(s *testbed.Setup) {
					s.Template = func(t *testbed.Templates) { delete(t.DefaultBehavior(), "LambdaFunctionAssociations") }
				})
			}
			f := newField(t, options...)
			f.gateless = at == open
			f.all(t, atS3(at))
		})
	}
}

// unknownKey is S3's answer to a signature with an access key that does not exist.
const unknownKey = "403 InvalidAccessKeyId"

func atS3(at place) []attempt {
	const (
		bearer = "S3 takes a presigned URL from anybody and any number of times, so it must not accept this one"
		more   = "the URL must not be good for another operation either"
		inside = "a client that writes to the index spends or mints URLs"
	)
	all := []attempt{
		{"the URL itself", bearer, at, put(good), unknownKey},
		{"the URL, empty body", bearer, at, head("PUT", good, "Content-Length: 0"), unknownKey},
		{"the URL, chunked", bearer, at, head("PUT", good, "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(marker), marker), anyhow},
		{"the URL with an ACL", bearer, at, put(good, "X-Amz-Acl: public-read"), anyhow},
		{"the URL to copy an object", bearer, at, head("PUT", good, "X-Amz-Copy-Source: /oncegate-test/signatures/valid/@id", "Content-Length: 0"), anyhow},
		{"the URL and If-None-Match", bearer, at, put(good, "If-None-Match: *"), anyhow},
		{"the URL and an Authorization", bearer, at, put(good, "Authorization: AWS4-HMAC-SHA256 Credential=oncegate/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=@signature"), anyhow},
		{"the URL, signature as a header", bearer, at, put("@path", "X-Amz-Date: 20200101T000000Z", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD",
			"Authorization: AWS4-HMAC-SHA256 Credential=oncegate/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=@signature"), anyhow},
		{"nobody's upload", "the bucket is not public", at, put("@path"), anyhow},
		{"nobody's upload with an ACL that gives it away", "the bucket is not public", at, put("@path", "X-Amz-Acl: bucket-owner-full-control"), anyhow},
		{"nobody's expired entry", inside, at, put("@prefix/signatures/expired/@id", "If-None-Match: *"), anyhow},
		{"the URL's query for its expired entry", inside, at, put("@prefix/signatures/expired/@id?@query"), unknownKey},
		{"the URL's query for its valid entry", inside, at, put("@prefix/signatures/valid/@id?@query"), unknownKey},
		{"the URL's query for a key", inside, at, put("@prefix/keys/@id?@query"), unknownKey},
		{"SigV2", "an older signature is one more way to guess", at, put("@path?AWSAccessKeyId=oncegate&Expires=9999999999&Signature=c2ln"), anyhow},
		{"a form with a policy", more, at, head("POST", "@prefix/", "Content-Type: multipart/form-data; boundary=b", "Content-Length: 7") + "--b--\r\n", anyhow},
	}
	for _, sub := range []string{
		"acl", "tagging", "retention", "legal-hold", "partNumber=1&uploadId=x", "versionId=null", "append", "renameObject", "encryption",
	} {
		all = append(all,
			attempt{"PUT ?" + sub, more, at, put("@path?" + sub + "&@query"), anyhow},
			attempt{"nobody's PUT ?" + sub, more, at, put("@path?" + sub), anyhow})
	}
	for _, sub := range []string{"uploads", "uploadId=x", "restore", "select&select-type=2", "delete"} {
		all = append(all,
			attempt{"POST ?" + sub, more, at, request("POST", "@path?"+sub+"&@query") + marker, anyhow},
			attempt{"nobody's POST ?" + sub, more, at, request("POST", "@path?"+sub) + marker, anyhow})
	}
	for _, sub := range []string{"", "acl&", "tagging&", "attributes&", "torrent&", "versionId=null&", "uploadId=x&", "uploads&"} {
		all = append(all, attempt{"GET ?" + sub, "the URL reads nothing", at, head("GET", "@path?"+sub+"@query"), anyhow})
	}
	for _, p := range []string{"/", "/?versions", "/?list-type=2", "/?list-type=2&prefix=signatures/", "/?policy", "/?versioning", "/?lifecycle", "/?uploads", "/?location", "/?acl"} {
		query := "?@query"
		if strings.Contains(p, "?") {
			query = "&@query"
		}
		all = append(all,
			attempt{"GET bucket" + p, "the URL lists nothing", at, head("GET", "@prefix"+p+query), anyhow},
			attempt{"nobody's GET bucket" + p, "the bucket is not public", at, head("GET", "@prefix"+p), anyhow})
	}
	for _, method := range []string{"GET", "HEAD", "DELETE"} {
		for _, p := range []string{"@path", "@prefix/signatures/valid/@id", "@prefix/signatures/expired/@id"} {
			all = append(all, attempt{method + " " + p + ", nobody", "the bucket is not public", at, head(method, p), anyhow})
		}
		all = append(all, attempt{method + " with the URL", more, at, head(method, good), anyhow})
	}
	// The minted access key is public, and there is no secret key for it.
	for _, secret := range []string{"", "oncegate", "secret", strings.Repeat("\x00", 32), strings.Repeat("0", 64), "@signature"} {
		all = append(all, attempt{fmt.Sprintf("presigned with the guessed secret %.12q", secret), "knowing how URLs are made must not be enough to make one",
			at, put("@path?" + presign(at, secret)), unknownKey})
	}
	return all
}

// presign signs a fixed path as mint does, with any secret. That is not the path of the
// upload: S3 looks at the access key before it checks the signature.
func presign(at place, secret string) string {
	host, date := s3servertest.Host, time.Now().UTC().Format("20060102T150405Z")
	query := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=oncegate%2F" + date[:8] + "%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=" + date +
		"&X-Amz-Expires=900&X-Amz-SignedHeaders=host&x-id=PutObject"
	canonical := fmt.Sprintf("PUT\n/uploads/x\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD", query, host)
	sum := sha256.Sum256([]byte(canonical))
	scope := date[:8] + "/us-east-1/s3/aws4_request"
	key := []byte("AWS4" + secret)
	for _, part := range append(strings.Split(scope, "/"), "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hex.EncodeToString(sum[:])) {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return query + "&X-Amz-Signature=" + hex.EncodeToString(key)
}

// TestReads: nobody can read anything through the distribution.
func TestReads(t *testing.T) {
	f := newField(t)
	// There is something to read: an upload, its entries, and a URL that is not spent.
	spent := f.Mint(t)
	if a := f.Put(t, spent, "the owner's"); a.Status != http.StatusOK {
		t.Fatal(a)
	}
	_, query, _ := strings.Cut(spent.URL, "?")
	var all []attempt
	for what, p := range map[string]string{
		"an upload": "/" + spent.Key, "an upload with its URL": "/" + spent.Key + "?" + query, "an upload with a good URL": "/" + spent.Key + "?@query",
		"a version of it": "/" + spent.Key + "?versionId=null", "its valid entry": "/" + spent.ID.ValidKey(), "its expired entry": "/" + spent.ID.ExpiredKey(),
		"its valid entry with a good URL": "/" + spent.ID.ValidKey() + "?@query", "a list": "/?list-type=2", "a list of versions": "/?versions&prefix=signatures/", "the bucket": "/",
		"a list with a good URL": "/?list-type=2&@query", "the policy": "/?policy", "an ACL": "/" + spent.Key + "?acl", "tags": "/" + spent.Key + "?tagging", "attributes": "/" + spent.Key + "?attributes",
		"an entry, up from url": "/url/../" + spent.ID.ValidKey(), "an entry, encoded": "/" + strings.ReplaceAll(spent.ID.ValidKey(), "/", "%2F"), "a key": "/keys/" + string(spent.ID), "robots": "/robots.txt", "the settings": "/config.json", "the code": "/index.mjs",
	} {
		for _, method := range []string{"GET", "HEAD", "DELETE"} {
			want := "403 method"
			if method == "DELETE" {
				want = anyhow // for who holds the URL, and no matter which of the two is wrong
			}
			// Paths that CloudFront takes to be below /url reach the mint.
			if strings.HasPrefix(p, "/url/") {
				want = anyhow
			}
			all = append(all, attempt{method + " " + what, "only the owner reads what is stored", edge, head(method, p), want})
		}
		all = append(all, attempt{"GET " + what + ", a range", "only the owner reads what is stored", edge, head("GET", p, "Range: bytes=0-0"), anyhow})
	}
	f.all(t, all)
	if got := f.Stored(t, spent.Key); got != "the owner's" {
		t.Errorf("stored %q", got)
	}
}

// TestOtherDeployments: a URL is good only where it was minted, and as long as it says.
func TestOtherDeployments(t *testing.T) {
	here := newField(t)
	short := newField(t, func(s *testbed.Setup) { s.Settings["expires"] = 1 })
	const why = "a URL is good only for the deployment that made it"
	foreign := func(name string, from *field, want string) attempt {
		return attempt{name, why, edge, put(strings.TrimPrefix(from.Mint(t).URL, from.Edge.URL())), want}
	}
	expired := short.Mint(t) // its second is over when the rest is done
	here.all(t, []attempt{
		foreign("of another deployment", newField(t), "403 unknown"),
	})
	// A URL expires at a whole second, and the clock of the edge is this machine's.
	q := expired.URL[strings.Index(expired.URL, "X-Amz-Date=")+len("X-Amz-Date="):]
	minted, err := time.Parse("20060102T150405Z", q[:len("20060102T150405Z")])
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(minted.Add(time.Second))) // no longer, because that moment is tested
	for _, header := range []string{"X: y", "Date: " + minted.Format(http.TimeFormat), "X-Amz-Date: " + minted.Format("20060102T150405Z")} {
		name, _, _ := strings.Cut(header, ":")
		if t.Run("expired this moment, "+name, func(t *testing.T) {
			short.refused(t, attempt{"", "the viewer's clock does not count", edge, put(strings.TrimPrefix(expired.URL, short.Edge.URL()), header), "403 expired"}, aim(expired))
		}) {
			total.add(1)
		}
	}
	short.WantClaims(t, expired.ID, 0)
	short.WantVersions(t, expired.Key, 0)
}

// TestMint: a request to /url makes a URL as documented, or none.
func TestMint(t *testing.T) {
	f := newField(t)
	const why = "the client chooses nothing beyond the options"
	var all []attempt
	for _, q := range []string{
		"key=uploads/x", "path=/uploads/x", "bucket=other", "host=evil.example", "uuid=00000000-0000-4000-8000-000000000000", "acl=public-read", "versionId=x", "signature=x", "X-Amz-Expires=604800",
		"expires=0", "expires=-1", "expires=604801", "expires=1e3", "expires=0x10", "expires=900&expires=900", "expires=", "expires", "maxBytes=5368709121", "maxBytes=-1", "minBytes=2&maxBytes=1", "count=11", "count=0", "count=1.0",
		"name=a/b", `name=a%5Cb`, "name=..%2F..%2Fsignatures", "name=a%00b", "name=a%0D%0AX-Amz-Acl:%20public-read", "name=%ff", "name=%E2%80%AEgpj.exe", "label=a%0Ab", "type=*/*", "type=image/png%0D%0Ax:y", "type=image%2fpng;x=y", "sha256=x",
		"__proto__=x", "constructor=x", "expires=900;count=2", "%65xpires=900&expires=900", "Expires=900", "expires=%2b900", "expires=+900", "?expires=900",
	} {
		all = append(all, attempt{"GET /url?" + q, why, edge, head("GET", "/url?"+q), "400 options"})
	}
	for _, body := range []string{
		``, `null`, `[]`, `"x"`, `1`, `{"key":"uploads/x"}`, `{"expires":"9e2"}`, `{"expires":9e2}`, `{"expires":900.0}`, `{"expires":900,"expires":900}`, `{"Expires":900}`, `{"count":1}{"count":1}`, `{"__proto__":{"expires":1}}`, `{"name":"\u0000"}`, `{"name":"\ud800"}`,
		`{"count":` + strings.Repeat("9", 400) + `}`, strings.Repeat("[", 9000), strings.Repeat(`{"a":`, 5000),
	} {
		all = append(all, attempt{fmt.Sprintf("POST /url %.40s %d", body, len(body)), why, edge,
			head("POST", "/url", "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body))) + body, "400 options"})
	}
	for _, p := range []string{"/url/", "/url//", "/URL", "/url%00", "/%75rl", "/url/x", "/url;x", "/./url", "//url", "/x/../url", "/url.json", "/url%2f", "/url%3Fcount=2", "/url%20"} {
		all = append(all, attempt{"GET " + p, "there is one path that mints", edge, head("GET", p), anyhow})
	}
	f.all(t, all)
}
