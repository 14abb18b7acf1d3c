package s3server

import (
	"context"
	"encoding/xml"
	"net/http"
	"strings"
)

// completes reports whether the request completes a multipart upload.
func completes(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

// putCompleteRight holds an answer that says that an upload was completed to the object that is
// there. Once there is one, versitygw takes every complete of the upload for a repeat, and answers
// with the ETag of the parts in the request, whichever the object was made of. S3 knows no upload
// with other parts any more. What is there is noted for tellStored.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
func (p *proxy) putCompleteRight(res *http.Response) error {
	r := res.Request
	if !completes(r) || res.StatusCode != http.StatusOK {
		return nil
	}
	body, err := readBody(res)
	if err != nil {
		return err
	}
	var said struct{ ETag string }
	if err := xml.Unmarshal(body, &said); err != nil || said.ETag == "" {
		return nil // an error after the 200
	}
	bucket, key := target(r)
	// Neither is in the answer's head, and its client may be gone already.
	size, etag, err := p.describe(context.WithoutCancel(r.Context()), bucket, key, res.Header.Get("X-Amz-Version-Id"))
	if err != nil {
		return nil
	}
	c := callOf(r)
	c.size, c.etag = size, etag
	if etag != strings.Trim(said.ETag, `"`) {
		*res = *errorAnswer(r, http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	}
	return nil
}
