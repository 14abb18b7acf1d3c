package s3server

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
)

// versionID is the form of the ids that versitygw gives to versions, and the id of what was stored without versioning.
var versionID = regexp.MustCompile(`^(null|[0-7][0-9A-HJKMNP-TV-Z]{25})$`)

// conditionalDelete reports whether the request deletes the current version of an object on a condition.
func conditionalDelete(r *http.Request) bool {
	return r.Method == http.MethodDelete && len(r.Header["If-Match"]) > 0 && !r.URL.Query().Has("versionId")
}

// conditionalReplace reports whether the request writes an object in place of the current version, on a condition.
func conditionalReplace(r *http.Request) bool {
	return r.Method == http.MethodPut && len(r.Header["If-Match"]) > 0
}

// hidden reports whether a conditional delete or write meets a delete marker, and notes it for the answer. versitygw
// would compare with the version under the marker. It asks before it does anything, and only about a principal that may.
func (a *access) hidden(ctx context.Context, c *call, action string) bool {
	if !(action == "s3:DeleteObject" && conditionalDelete(c.r) || action == "s3:PutObject" && conditionalReplace(c.r)) {
		return false
	}
	bucket, key := target(c.r)
	marker, err := a.marker(ctx, bucket, key)
	if err != nil {
		a.log.Warn("s3 denies access", "action", action, "because", err)
		return true
	}
	c.absent.Store(marker)
	return marker
}

// putDeleteRight turns the child's answer to a DELETE of a key into S3's. A condition on an absent key is 404, and the
// DELETE of a version that is gone succeeds:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
func (p *proxy) putDeleteRight(res *http.Response, bucket string) error {
	c := callOf(res.Request)
	nothing := res.StatusCode == http.StatusNoContent && res.Header.Get("X-Amz-Version-Id") == "" && bucket == p.bucket
	if c.absent.Load() || conditionalDelete(c.r) && nothing {
		answerNoSuchKey(res)
		return nil
	}
	id := c.r.URL.Query().Get("versionId")
	if res.StatusCode != http.StatusBadRequest || !versionID.MatchString(id) {
		return nil
	}
	body, err := readBody(res)
	if err != nil {
		return err
	}
	if bytes.Contains(body, []byte("<Message>Invalid version id specified</Message>")) {
		setBody(res, "")
		res.StatusCode, res.Status = http.StatusNoContent, ""
		res.Header.Del("Content-Type")
		res.Header.Del("Content-Length")
		res.Header.Set("X-Amz-Version-Id", id)
	}
	return nil
}

// answerNoSuchKey puts the answer about an absent key in place of this one.
func answerNoSuchKey(res *http.Response) {
	res.Body.Close()
	*res = *errorAnswer(res.Request, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
}
