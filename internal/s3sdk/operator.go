package s3sdk

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
)

// Ledger is the bucket as its operator uses it. The doc comments of
// onetime.Operator's methods list the actions that a role needs for each.
type Ledger struct {
	*s3index.Index
	*s3index.Parts
	client *Client
}

var (
	_ onetime.Ledger     = (*Ledger)(nil)
	_ onetime.PartLedger = (*Ledger)(nil)
)

// Ledger returns the ledger in the client's bucket.
func (c *Client) Ledger() *Ledger { return &Ledger{s3index.New(c), s3index.NewParts(c), c} }

// HeadObject implements onetime.Ledger.
func (l *Ledger) HeadObject(ctx context.Context, limit time.Duration, key string) (onetime.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := l.client.s3.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &l.client.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		return onetime.Object{}, outcome("HeadObject", err, map[int]error{http.StatusNotFound: onetime.ErrAbsent})
	}
	return onetime.Object{
		Size:     aws.ToInt64(out.ContentLength),
		ETag:     aws.ToString(out.ETag),
		Version:  aws.ToString(out.VersionId),
		SHA256:   sha256Hex(out.ChecksumSHA256),
		Modified: aws.ToTime(out.LastModified),
	}, nil
}

// sha256Hex reads the checksum of a whole object. The one of a multipart upload is
// made of its parts' and has their number behind it; it says nothing of the content.
func sha256Hex(checksum *string) string {
	sum, err := base64.StdEncoding.DecodeString(aws.ToString(checksum))
	if err != nil {
		return ""
	}
	return hex.EncodeToString(sum)
}

// HideObject implements onetime.Ledger.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
func (l *Ledger) HideObject(ctx context.Context, limit time.Duration, key, etag string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := l.client.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &l.client.bucket, Key: &key, IfMatch: &etag})
	return outcome("HideObject", err, map[int]error{
		http.StatusNotFound:           onetime.ErrAbsent,
		http.StatusPreconditionFailed: onetime.ErrChanged,
		http.StatusConflict:           onetime.ErrConflict,
	})
}

// DeleteExpired implements onetime.Ledger.
func (l *Ledger) DeleteExpired(ctx context.Context, limit time.Duration, id onetime.ID, version string) error {
	return l.deleteVersion(ctx, limit, "DeleteExpired", id.ExpiredKey(), version)
}

// DeletePartsEntry implements onetime.PartLedger.
func (l *Ledger) DeletePartsEntry(ctx context.Context, limit time.Duration, id onetime.ID, version string) error {
	return l.deleteVersion(ctx, limit, "DeletePartsEntry", id.PartsKey(), version)
}

func (l *Ledger) deleteVersion(ctx context.Context, limit time.Duration, op, key, version string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := l.client.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &l.client.bucket, Key: &key, VersionId: &version})
	return outcome(op, err, nil)
}

// ListEntries implements onetime.Ledger.
func (l *Ledger) ListEntries(ctx context.Context, limit time.Duration, kind onetime.EntryKind, after string) (onetime.EntryPage, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	prefix := string(kind)
	input := &s3.ListObjectsV2Input{Bucket: &l.client.bucket, Prefix: &prefix, EncodingType: types.EncodingTypeUrl}
	if after != "" {
		input.StartAfter = aws.String(prefix + after)
	}
	out, err := l.client.s3.ListObjectsV2(ctx, input)
	if err != nil {
		return onetime.EntryPage{}, outcome("ListEntries", err, nil)
	}
	var page onetime.EntryPage
	decoded := decoder(out.EncodingType)
	for _, object := range out.Contents {
		name := strings.TrimPrefix(decoded(object.Key), prefix)
		page.Entries = append(page.Entries, onetime.ListedEntry{Name: name, Modified: aws.ToTime(object.LastModified)})
		if aws.ToBool(out.IsTruncated) {
			page.Next = name
		}
	}
	return page, nil
}

// outcome is the error that package onetime gives an answer: nil, what definite
// says, or a fault.
func outcome(op string, err error, definite map[int]error) error {
	if err == nil {
		return nil
	}
	answer, noAnswer := answerOf(err)
	switch {
	case noAnswer != nil:
		return &onetime.Fault{Op: op, Err: noAnswer}
	case definite[answer.Status] != nil:
		return definite[answer.Status]
	}
	fault := &onetime.Fault{Op: op, Status: answer.Status}
	if answer.Code != "" {
		fault.Err = answer.Code
	}
	return fault
}
