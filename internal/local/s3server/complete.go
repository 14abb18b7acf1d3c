package s3server

import (
	"context"
	"encoding/xml"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// undoCompletes brings back the uploads that versitygw was completing when it crashed: each can be
// completed again, as at S3. versitygw renames the folder of an upload while it completes it. If it finds
// a folder so renamed, it answers 200 to every complete, even if there is no object. It copies the parts
// into the object, so they are all still there. It must not be running.
func undoCompletes(objects string) error {
	left, err := filepath.Glob(filepath.Join(objects, "*", ".sgwtmp", "multipart", "*", "*.inprogress"))
	if err != nil {
		return err
	}
	for _, from := range left {
		id, _, _ := strings.Cut(filepath.Base(from), ".")
		to := filepath.Join(filepath.Dir(from), id)
		// Parts that came meanwhile made a folder of the old name.
		late, err := os.ReadDir(to)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, part := range late {
			if err := os.Rename(filepath.Join(to, part.Name()), filepath.Join(from, part.Name())); err != nil {
				return err
			}
		}
		if err := errors.Join(os.RemoveAll(to), os.Rename(from, to)); err != nil {
			return err
		}
	}
	return nil
}

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
	if _, absent := errors.AsType[*types.NotFound](err); absent {
		*res = *errorAnswer(r, http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
		return nil
	}
	if err != nil {
		return err // whether there is an object is not known, so say nothing at all
	}
	c := callOf(r)
	c.size, c.etag = size, etag
	if etag != strings.Trim(said.ETag, `"`) {
		*res = *errorAnswer(r, http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	}
	return nil
}
