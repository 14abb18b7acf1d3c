package s3wire

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"oncegate/internal/lean/httpdate"
	"oncegate/internal/lean/wire"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
)

// Records is the signature index of a bucket with its invitations, and what was uploaded to it.
type Records struct {
	*s3index.Index
	*s3index.Parts
	*s3index.Invitations
	client *Client
}

var _ onetime.Records = (*Records)(nil)

// Records returns the records in the client's bucket.
func (c *Client) Records() *Records {
	return &Records{s3index.New(c), s3index.NewParts(c), s3index.NewInvitations(c), c}
}

// HeadObject implements onetime.Records.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func (r *Records) HeadObject(ctx context.Context, limit time.Duration, key string) (onetime.Object, error) {
	const op = "HeadObject"
	reply, err := r.client.send(ctx, limit, "HEAD", "/"+key, "", []wire.Header{{Name: "x-amz-checksum-mode", Value: "ENABLED"}}, nil)
	switch {
	case err != nil:
		return onetime.Object{}, &onetime.Fault{Op: op, Stale: errors.Is(err, s3index.ErrStale), Err: err}
	case reply.Status == 404:
		return onetime.Object{}, onetime.ErrAbsent
	case reply.Status != 200:
		return onetime.Object{}, &onetime.Fault{Op: op, Status: reply.Status}
	}
	object := onetime.Object{
		ETag:    reply.Header("etag"),
		Version: reply.Header("x-amz-version-id"),
		SHA256:  sha256Hex(reply.Header("x-amz-checksum-sha256")),
	}
	if object.Size, err = strconv.ParseInt(reply.Header("content-length"), 10, 64); err != nil {
		return onetime.Object{}, &onetime.Fault{Op: op, Status: reply.Status, Err: fmt.Errorf("content-length: %w", err)}
	}
	if object.Modified, err = httpdate.Parse(reply.Header("last-modified")); err != nil {
		return onetime.Object{}, &onetime.Fault{Op: op, Status: reply.Status, Err: fmt.Errorf("last-modified: %w", err)}
	}
	return object, nil
}

// sha256Hex reads the checksum of a whole object. The one of a multipart upload is
// made of its parts' and has their number behind it; it says nothing of the content.
func sha256Hex(checksum string) string {
	sum, err := base64.StdEncoding.DecodeString(checksum)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(sum)
}
