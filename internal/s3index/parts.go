package s3index

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"oncegate/internal/onetime"
)

// PartBucket makes the single requests of multipart uploads. What Bucket promises holds
// here too.
type PartBucket interface {
	Lister
	// CreateUpload starts a multipart upload of key. The headers go with the request and
	// are not signed: S3 takes a signature over bytes above 0x7F for a wrong one. The headers in
	// signed are signed, and so is the metadata: S3 demands it of every header x-amz-*.
	CreateUpload(ctx context.Context, limit time.Duration, key string, headers, signed, metadata map[string]string) (PartsAnswer, error)
	// ListParts asks for the first onetime.MaxParts parts.
	ListParts(ctx context.Context, limit time.Duration, key, upload string) (PartsAnswer, error)
	// CompleteUpload makes the object of these parts with If-None-Match: *.
	CompleteUpload(ctx context.Context, limit time.Duration, key, upload string, parts []onetime.StoredPart) (PartsAnswer, error)
	AbortUpload(ctx context.Context, limit time.Duration, key, upload string) (PartsAnswer, error)
}

// PartsAnswer is what is read of an answer about a multipart upload.
type PartsAnswer struct {
	Status int
	// Code is as in Answer. CompleteMultipartUpload also has one with status 200:
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
	Code Code
	// Upload is the id of the upload that was created.
	Upload string
	// ETag is that of the object that was made, without quotes.
	ETag string
	// CRC64NVME is the checksum of the object that was made, in base64; "" if there is none.
	CRC64NVME string
	// Parts are those that were listed, and More says that there are others.
	Parts []onetime.StoredPart
	More  bool
}

// Parts is onetime.PartStore in a bucket. Requests and the actions that a role needs:
//
//	CreateMultipartUpload, UploadPart, CompleteMultipartUpload  s3:PutObject on uploads/*
//	CreateMultipartUpload with tags                             s3:PutObjectTagging on uploads/*
//	ListParts                    s3:ListMultipartUploadParts on uploads/*
//	AbortMultipartUpload         s3:AbortMultipartUpload on uploads/*
//	ListObjectsV2                s3:ListBucket
//	signatures/parts/<hash>      PutObject with If-None-Match: *, GetObject
type Parts struct {
	bucket PartBucket
}

var _ onetime.PartStore = (*Parts)(nil)

// NewParts returns the multipart uploads of this bucket.
func NewParts(bucket PartBucket) *Parts { return &Parts{bucket} }

// CreateUpload implements onetime.PartStore.
func (p *Parts) CreateUpload(ctx context.Context, limit time.Duration, key string, headers, signed, metadata map[string]string) (string, error) {
	const op = "CreateUpload"
	answer, err := p.bucket.CreateUpload(ctx, limit, key, headers, signed, metadata)
	if err = partsOutcome(op, answer, err, nil); err != nil {
		return "", err
	}
	if answer.Upload == "" {
		return "", &onetime.Fault{Op: op, Status: answer.Status, Err: errors.New("no upload id")}
	}
	return answer.Upload, nil
}

// WriteParts implements onetime.PartStore.
func (p *Parts) WriteParts(ctx context.Context, limit time.Duration, id onetime.ID, body []byte) error {
	answer, err := p.bucket.Put(ctx, limit, Object{Key: id.PartsKey(), Body: body, ContentType: contentType, IfAbsent: true})
	return outcome("WriteParts", answer, err, claimAnswer)
}

// ReadParts implements onetime.PartStore.
func (p *Parts) ReadParts(ctx context.Context, limit time.Duration, id onetime.ID) ([]byte, error) {
	answer, err := p.bucket.Get(ctx, limit, id.PartsKey())
	if err = outcome("ReadParts", answer, err, readAnswer); err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// ListParts implements onetime.PartStore. The gate signs no part whose number is above
// onetime.MaxParts, so more parts than one answer holds are somebody else's doing.
func (p *Parts) ListParts(ctx context.Context, limit time.Duration, key, upload string) ([]onetime.StoredPart, error) {
	const op = "ListParts"
	answer, err := p.bucket.ListParts(ctx, limit, key, upload)
	if err = partsOutcome(op, answer, err, uploadCode); err != nil {
		return nil, err
	}
	if answer.More {
		return nil, &onetime.Fault{Op: op, Status: answer.Status, Err: errors.New("there are more parts than one answer holds")}
	}
	return answer.Parts, nil
}

// CompleteUpload implements onetime.PartStore. After an upload was completed S3 gives the
// same answer again for a while, and ErrAbsent later.
func (p *Parts) CompleteUpload(ctx context.Context, limit time.Duration, key, upload string, parts []onetime.StoredPart) (etag, crc64nvme string, err error) {
	answer, err := p.bucket.CompleteUpload(ctx, limit, key, upload, parts)
	if definite := claimAnswer(answer.Status); err == nil && definite != nil {
		return "", "", definite // whatever its code is
	}
	if err = partsOutcome("CompleteUpload", answer, err, completeCode); err != nil {
		return "", "", err
	}
	return answer.ETag, checksum64(answer.CRC64NVME), nil
}

// checksum64 returns what is a checksum of 64 bits in base64, and "" for anything else.
func checksum64(text string) string {
	if sum, err := base64.StdEncoding.DecodeString(text); err != nil || len(sum) != 8 {
		return ""
	}
	return text
}

// AbortUpload implements onetime.PartStore.
func (p *Parts) AbortUpload(ctx context.Context, limit time.Duration, key, upload string) error {
	answer, err := p.bucket.AbortUpload(ctx, limit, key, upload)
	if err == nil && answer.Status == 204 {
		return nil
	}
	if err = partsOutcome("AbortUpload", answer, err, uploadCode); errors.Is(err, onetime.ErrAbsent) {
		return nil
	}
	return err
}

// FindObject implements onetime.PartStore. It makes a list, for which the gate has the
// permission, and not a HEAD, for which it would need the one to read uploads. Of the keys
// that begin with key, key itself comes first.
func (p *Parts) FindObject(ctx context.Context, limit time.Duration, key string) (int64, string, error) {
	page, err := p.bucket.ListObjects(ctx, limit, List{Prefix: key, Max: 1})
	if err = outcome("FindObject", Answer{Status: page.Status, Code: page.Code}, err, nil); err != nil {
		return 0, "", err
	}
	if len(page.Objects) == 0 || page.Objects[0].Key != key {
		return 0, "", onetime.ErrAbsent
	}
	return page.Objects[0].Size, page.Objects[0].ETag, nil
}

// ListPartsEntry implements onetime.PartLedger.
func (p *Parts) ListPartsEntry(ctx context.Context, limit time.Duration, id onetime.ID) ([]onetime.Version, error) {
	return listVersions(ctx, p.bucket, "ListPartsEntry", limit, id.PartsKey())
}

// Codes that are definite answers. A 404 alone is none: the bucket may be missing.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html

func uploadCode(code Code) error {
	if code == "NoSuchUpload" {
		return onetime.ErrAbsent
	}
	return nil
}

func completeCode(code Code) error {
	switch code {
	case "NoSuchUpload":
		return onetime.ErrAbsent
	case "PreconditionFailed":
		return onetime.ErrExists
	case "ConditionalRequestConflict":
		return onetime.ErrConflict
	case "InvalidPart", "InvalidPartOrder", "EntityTooSmall":
		return onetime.ErrParts
	}
	return nil
}

// partsOutcome is outcome for answers whose meaning is in the error's code.
func partsOutcome(op string, answer PartsAnswer, err error, definite func(Code) error) error {
	switch {
	case err != nil:
		return &onetime.Fault{Op: op, Stale: errors.Is(err, ErrStale), Err: err}
	case answer.Code == "" && answer.Status == 200:
		return nil
	case definite != nil && definite(answer.Code) != nil:
		return definite(answer.Code)
	}
	fault := &onetime.Fault{Op: op, Status: answer.Status}
	if answer.Code != "" {
		fault.Err = answer.Code
	}
	if answer.Status == 200 {
		fault.Status = 500 // found out after the first line was sent
	}
	return fault
}
