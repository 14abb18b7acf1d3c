package s3wire_test

import (
	"bytes"
	"encoding/xml"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
	"oncegate/internal/s3wire"
)

const fullList = `<?xml version="1.0" encoding="UTF-8"?>
<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>p&amp;q</Prefix><IsTruncated>true</IsTruncated>` +
	`<NextKeyMarker>a%2Fb+c</NextKeyMarker><NextVersionIdMarker>v0</NextVersionIdMarker>
	<DeleteMarker><Key>a%2Fb</Key><VersionId>v2</VersionId><Owner><ID>x</ID></Owner></DeleteMarker>` +
	`<Version><Key>a%2Fb</Key><VersionId>v1</VersionId><ETag>&quot;e&#34;&#x22;</ETag><Size>1</Size></Version><CommonPrefixes/></ListVersionsResult>
`

func TestVersions(t *testing.T) {
	got, err := s3wire.ParseVersions(fullList)
	want := s3index.Page{Status: 200, Next: &s3index.Marker{Key: "a/b c", VersionID: "v0"}, Versions: []s3index.KeyVersion{
		{Key: "a/b", Version: onetime.Version{ID: "v2", DeleteMarker: true}}, {Key: "a/b", Version: onetime.Version{ID: "v1"}},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for name, edit := range map[string][2]string{
		"another answer":       {"ListVersionsResult", "ListBucketResult"},
		"no IsTruncated":       {"<IsTruncated>true</IsTruncated>", ""},
		"truncated, perhaps":   {"<IsTruncated>true", "<IsTruncated>perhaps"},
		"no next key":          {"<NextKeyMarker>a%2Fb+c</NextKeyMarker>", ""},
		"a key in two pieces":  {"<Key>a%2Fb</Key>", "<Key>a</Key><Key>b</Key>"},
		"a key of elements":    {"<Key>a%2Fb</Key>", "<Key><a/></Key>"},
		"a key ill encoded":    {"<Key>a%2Fb</Key>", "<Key>%zz</Key>"},
		"two ids":              {"<VersionId>v1", "<VersionId>v0</VersionId><VersionId>v1"},
		"a comment":            {"<Name>", "<!-- --><Name>"},
		"CDATA":                {"<Name>b", "<Name><![CDATA[b]]>"},
		"a prefix":             {"<Name>b</Name>", "<s3:Name>b</s3:Name>"},
		"an entity of its own": {"p&amp;q", "p&x;q"},
		"a bare &":             {"p&amp;q", "p&q"},
		"crossed":              {"<Name>b</Name><Prefix>", "<Name>b<Prefix></Name>"},
		"cut short":            {"</ListVersionsResult>", ""},
		"something behind":     {"</ListVersionsResult>", "</ListVersionsResult>x"},
		"deep":                 {"<Name>b</Name>", strings.Repeat("<a>", 50) + strings.Repeat("</a>", 50)},
	} {
		text := strings.ReplaceAll(fullList, edit[0], edit[1])
		if text == fullList {
			t.Fatalf("%s: %q is not in the list", name, edit[0])
		}
		if page, err := s3wire.ParseVersions(text); err == nil {
			t.Errorf("%s: read as %+v", name, page)
		}
	}
}

// FuzzVersions holds the reading of lists to encoding/xml: what is read means the same
// there.
func FuzzVersions(f *testing.F) {
	f.Add(fullList)
	f.Add(strings.ReplaceAll(fullList, "true", "false"))
	f.Add(`<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>`)
	f.Add(`<ListVersionsResult a="b" c="d"><IsTruncated >false</IsTruncated ><Version><Key>&lt;&#x3c;</Key></Version></ListVersionsResult>`)
	f.Add(`<ListVersionsResult a=">"><IsTruncated>false</IsTruncated><Version/></ListVersionsResult>`)
	f.Add("<ListVersionsResult a=\"\x15\"><IsTruncated>false</IsTruncated></ListVersionsResult>")
	f.Add(`<ListVersionsResult 0="0"><IsTruncated>false</IsTruncated></ListVersionsResult>`)
	f.Add("<ListVersionsResult>\r\n<IsTruncated>false</IsTruncated><Version><Key>a\r\nb\rc&#13;</Key></Version></ListVersionsResult>")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := s3wire.ParseVersions(text)
		if err != nil {
			return
		}
		var want struct {
			XMLName             xml.Name `xml:"ListVersionsResult"`
			IsTruncated         string
			NextKeyMarker       string
			NextVersionIDMarker string `xml:"NextVersionIdMarker"`
			Entries             []struct {
				XMLName   xml.Name
				Key       string
				VersionID string `xml:"VersionId"`
			} `xml:",any"`
		}
		if err := xml.NewDecoder(bytes.NewReader([]byte(text))).Decode(&want); err != nil {
			t.Fatalf("%q is read; encoding/xml says %v", text, err)
		}
		page := s3index.Page{Status: 200}
		for _, e := range want.Entries {
			key, err := url.QueryUnescape(e.Key)
			if marker := e.XMLName.Local == "DeleteMarker"; marker || e.XMLName.Local == "Version" {
				if err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				page.Versions = append(page.Versions, s3index.KeyVersion{Key: key, Version: onetime.Version{ID: e.VersionID, DeleteMarker: marker}})
			}
		}
		if want.IsTruncated == "true" {
			key, _ := url.QueryUnescape(want.NextKeyMarker)
			page.Next = &s3index.Marker{Key: key, VersionID: want.NextVersionIDMarker}
		}
		if !reflect.DeepEqual(got, page) {
			t.Errorf("%q is read as %+v, want %+v", text, got, page)
		}
	})
}
