package s3server

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
	"sync"
)

const classHeader = "X-Amz-Storage-Class"

// storageClasses are those that S3 takes for an object of a bucket in a Region.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
var storageClasses = []string{
	"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR",
}

// unknownClass reports whether the request asks for a storage class that there is none of.
func unknownClass(r *http.Request) bool {
	class := r.Header.Values(classHeader)
	return len(class) > 0 && !slices.Contains(storageClasses, strings.Join(class, ","))
}

// classes are the storage classes that were asked for, other than STANDARD. versitygw knows only
// that one. They last as long as the server.
type classes struct {
	mu sync.Mutex
	// of has them by bucket, key and version, and by upload id for those that are not complete.
	of map[string]string
}

// putClassRight notes what a request has stored in which class, and says so where S3 does: with an
// object in another class than STANDARD.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func (c *classes) putClassRight(res *http.Response) error {
	r := res.Request
	bucket, key := target(r)
	if res.StatusCode/100 != 2 || key == "" {
		return nil
	}
	object := bucket + "/" + key + "?" + res.Header.Get("X-Amz-Version-Id")
	query := r.URL.Query()
	switch {
	case completes(r):
		c.set(object, c.get(query.Get("uploadId")))
	case r.Method == http.MethodPost && query.Has("uploads"):
		body, err := readBody(res)
		if err != nil {
			return err
		}
		var created struct{ UploadId string }
		if xml.Unmarshal(body, &created) == nil {
			c.set(created.UploadId, r.Header.Get(classHeader))
		}
	case r.Method == http.MethodPut && !strings.Contains(Call(r), "?"):
		c.set(object, r.Header.Get(classHeader))
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		if class := c.get(object); class != "" {
			res.Header.Set(classHeader, class)
		} else {
			res.Header.Del(classHeader)
		}
	}
	return nil
}

func (c *classes) set(what, class string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if class == "" || class == "STANDARD" {
		delete(c.of, what)
		return
	}
	if c.of == nil {
		c.of = map[string]string{}
	}
	c.of[what] = class
}

func (c *classes) get(what string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[what]
}
