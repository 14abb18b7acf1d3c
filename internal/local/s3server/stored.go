package s3server

import (
	"net/http"
	"strconv"
	"strings"
)

// Stored is a version of an object that a request has stored. Options.Stored gets each
// once S3 has answered, even if the answer is lost.
type Stored struct {
	Event              string // such as ObjectCreated:Put
	Key, Version, ETag string // ETag without quotes
	Size               int64  // -1 for a copy, whose size is not in the request, and where it is not known
	RequestID          string
	SourceIP           string
}

// tellStored calls Options.Stored if the request has stored something.
func (p *proxy) tellStored(res *http.Response) {
	r := res.Request
	_, key := target(r)
	if p.stored == nil || res.StatusCode != http.StatusOK || key == "" {
		return
	}
	s := Stored{
		Event: "ObjectCreated:Put", Key: key, Version: res.Header.Get("X-Amz-Version-Id"), ETag: strings.Trim(res.Header.Get("Etag"), `"`),
		Size: r.ContentLength, RequestID: res.Header.Get("X-Amz-Request-Id"), SourceIP: "127.0.0.1",
	}
	switch {
	case completes(r):
		c := callOf(r)
		s.Event, s.Size, s.ETag = "ObjectCreated:CompleteMultipartUpload", c.size, c.etag
	case r.Method != http.MethodPut || strings.Contains(Call(r), "?"):
		return
	case r.Header.Get("X-Amz-Copy-Source") != "":
		s.Event, s.Size, s.ETag = "ObjectCreated:Copy", -1, ""
	}
	// The SDK sends bodies in chunks whose frames are not stored.
	if n, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil {
		s.Size = n
	}
	p.stored(s)
}
