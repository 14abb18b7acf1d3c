package attack

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"oncegate/internal/evidence/testbed"
)

// TestCompanion: the requests of Uppy lead to a URL's own upload and to no other, whatever
// their uploadId, key, number and body say. Nothing is kept between them, so an uploadId is
// what somebody makes up.
func TestCompanion(t *testing.T) {
	f := newField(t)
	m, other := aim(f.Mint(t)), aim(f.Mint(t))
	encode := base64.RawURLEncoding.EncodeToString
	id := func(m target) string { return encode([]byte("/" + m.Key + "?" + m.query)) }
	at := func(id, more, key string) string { return "/s3/multipart/" + id + more + "?key=" + key }
	for _, u := range []target{m, other} {
		if a := f.Do(t, http.MethodGet, f.Edge.URL()+at(id(u), "/1", u.Key), nil, nil); a.Status != http.StatusOK {
			t.Fatalf("start: %v", a)
		}
		if a := f.Do(t, http.MethodPut, u.URL+"&partNumber=1", nil, strings.NewReader("the owner's")); a.Status != http.StatusOK {
			t.Fatalf("part: %v", a)
		}
	}
	post := func(pathAndQuery, body string) string {
		return head("POST", pathAndQuery, "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body))) + body
	}
	parts := func(etag string) string { return `{"parts":[{"PartNumber":1,"ETag":"` + etag + `"}]}` }
	const zeros, belongs, none = "00000000000000000000000000000000", "an uploadId has one key, and one spelling", "no such request"
	short := id(m)[:len(id(m))-1]
	all := []attempt{
		{"another's key", belongs, edge, head("GET", at(id(m), "/1", other.Key)), "403 unknown"},
		{"another's key to give up", belongs, edge, head("DELETE", at(id(m), "", other.Key)), "403 unknown"},
		{"another's key to complete", belongs, edge, post(at(id(m), "/complete", other.Key), parts(zeros)), "403 unknown"},
		{"no key", belongs, edge, head("GET", "/s3/multipart/"+id(m)), "403 unknown"},
		{"two keys", belongs, edge, head("GET", at(id(m), "", m.Key)+"&key="+other.Key), "403 unknown"},
		{"a key and more", belongs, edge, head("GET", at(id(m), "", m.Key)+"&uploadId=x"), "403 unknown"},
		{"an entry's key", belongs, edge, head("GET", at(id(m), "", m.ID.ValidKey())), "403 unknown"},
		{"an uploadId with padding", belongs, edge, head("GET", at(id(m)+"=", "", m.Key)), "403 unknown"},
		{"an uploadId that is cut", belongs, edge, head("GET", at(short, "", m.Key)), "403 unknown"},
		{"an uploadId in another alphabet", belongs, edge, head("GET", at(base64.StdEncoding.EncodeToString([]byte("/"+m.Key+"?>>>???"+m.query)), "", m.Key)), "403 unknown"},
		{"an uploadId of S3's kind", belongs, edge, head("GET", at("2.exampleUploadId", "", m.Key)), "403 unknown"},
		{"an uploadId of an entry", belongs, edge, head("GET", at(encode([]byte("/"+m.ID.ValidKey()+"?"+m.query)), "", m.ID.ValidKey())), "403 path"},
		{"an uploadId of another object", "a URL is minted for one object", edge, head("GET", at(encode([]byte("/"+other.Key+"?"+m.query)), "", other.Key)), "403 unknown"},
		{"an uploadId with an operation", belongs, edge, head("GET", at(encode([]byte("/"+m.Key+"?"+m.query+"&complete")), "", m.Key)), "403 unknown"},
		{"an uploadId of an address", belongs, edge, head("GET", at(encode([]byte(m.URL)), "", m.Key)), "403 path"},
		{"two URLs in one address", belongs, edge, head("GET", "/s3/"+id(other)+at(id(m), "", m.Key)), "403 unknown"},
		{"an address in an address", none, edge, head("GET", "/s3/"+id(m)+"/s3/"+id(m)+at(id(m), "", m.Key)), "403 method"},
		{"an empty uploadId", none, edge, head("GET", at("", "/1", m.Key)), "403 unknown"},
		{"no part", none, edge, head("GET", at(id(m), "/", m.Key)), "400 part"},
		{"below a part", none, edge, head("GET", at(id(m), "/1/2", m.Key)), "400 part"},
		{"all uploads", none, edge, head("GET", "/s3/multipart"), "403 method"},
		{"a part through it", none, edge, put(at(id(m), "/1", m.Key)), "403 method"},
		{"a complete without a method", none, edge, head("GET", at(id(m), "/complete", m.Key)), "403 method"},
		{"credentials", "nobody is given any", edge, head("GET", "/s3/sts"), "403 method"},
		{"parameters", "Uppy is told to use parts", edge, head("GET", "/s3/params?filename=x&type=y"), "409 no-multipart"},
		{"in capitals", none, edge, head("GET", "/S3/multipart/"+id(m)), "403 method"},
		{"by dots", none, edge, head("GET", "/s3/multipart/../multipart/"+id(m)), "403 unknown"},
		{"a list that is none", "the object is named by its parts", edge, post(at(id(m), "/complete", m.Key), `[]`), "400 options"},
		{"a list without parts", "there is nothing to make", edge, post(at(id(m), "/complete", m.Key), `{"parts":[]}`), "409 incomplete"},
		{"other parts than S3 has", "the object is named by its parts", edge, post(at(id(m), "/complete", m.Key), parts(zeros)), "409 incomplete"},
		{"another's part", "the object is named by its parts", edge, post(at(id(m), "/complete", m.Key), parts("x\\u0026uploadId=y")), "409 incomplete"},
		{"1,001 parts", "there are parts 1 to 1,000", edge, post(at(id(m), "/complete", m.Key), `{"parts":[`+strings.Repeat(`{},`, 1000)+`{}]}`), "409 incomplete"},
	}
	for _, number := range []string{"0", "1001", "-1", "1e9", "01", "+1", "%31", "1.0"} {
		all = append(all, attempt{"part " + number, "there are parts 1 to 1,000", edge, head("GET", at(id(m), "/"+number, m.Key)), "400 part"})
	}
	for _, a := range all {
		if t.Run(a.name, func(t *testing.T) { f.refused(t, a, m, listsParts) }) {
			total.add(1)
		}
	}
	f.WantClaims(t, m.ID, 0)
	f.WantClaims(t, other.ID, 0)
	for _, u := range []target{m, other} {
		if a := f.Do(t, http.MethodPost, u.URL+"&complete", nil, nil); a.Status != http.StatusOK {
			t.Fatalf("complete: %v", a)
		}
	}
	// Afterwards the URL is good for nothing.
	for _, a := range []attempt{
		{"given up after complete", "the URL is spent", edge, head("DELETE", at(id(m), "", m.Key)), "403 used"},
		{"completed again of other parts", "the URL is spent", edge, post(at(id(m), "/complete", m.Key), parts(zeros)), "403 used"},
		{"a part of another's", "the URL is spent", edge, put(good + "&partNumber=1"), "403 used"},
	} {
		if t.Run(a.name, func(t *testing.T) { f.refused(t, a, m, listsParts, "GET signatures/expired/") }) {
			total.add(1)
		}
	}
	for _, u := range []testbed.Minted{m.Minted, other.Minted} {
		f.WantVersions(t, u.Key, 1)
		if got := f.Stored(t, u.Key); got != "the owner's" {
			t.Errorf("%q is stored", got)
		}
	}
}
