package s3sdk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
)

// CreateUpload implements s3index.PartBucket.
func (c *Client) CreateUpload(ctx context.Context, limit time.Duration, key string, headers, signed, metadata map[string]string) (s3index.PartsAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := c.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &c.bucket, Key: &key, Metadata: metadata}, added(signed), unsigned(headers))
	if err != nil {
		return partsAnswerOf(err)
	}
	return s3index.PartsAnswer{Status: http.StatusOK, Upload: aws.ToString(out.UploadId)}, nil
}

// added adds headers to a request before it is signed.
func added(headers map[string]string) func(*s3.Options) {
	return func(o *s3.Options) {
		for name, value := range headers {
			o.APIOptions = append(o.APIOptions, smithyhttp.AddHeaderValue(name, value))
		}
	}
}

// unsigned adds headers to a request that has been signed.
func unsigned(headers map[string]string) func(*s3.Options) {
	add := middleware.FinalizeMiddlewareFunc("UnsignedHeaders", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
		middleware.FinalizeOutput, middleware.Metadata, error,
	) {
		request, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("a request of type %T", in.Request)
		}
		for name, value := range headers {
			request.Header.Set(name, value)
		}
		return next.HandleFinalize(ctx, in)
	})
	return s3.WithAPIOptions(func(stack *middleware.Stack) error { return stack.Finalize.Insert(add, "Signing", middleware.After) })
}

// ListParts implements s3index.PartBucket.
func (c *Client) ListParts(ctx context.Context, limit time.Duration, key, upload string) (s3index.PartsAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := c.s3.ListParts(ctx, &s3.ListPartsInput{Bucket: &c.bucket, Key: &key, UploadId: &upload, MaxParts: aws.Int32(onetime.MaxParts)})
	if err != nil {
		return partsAnswerOf(err)
	}
	answer := s3index.PartsAnswer{Status: http.StatusOK, More: aws.ToBool(out.IsTruncated)}
	for _, part := range out.Parts {
		if unquoted(part.ETag) == "" {
			return s3index.PartsAnswer{}, errors.New("a list of parts: no ETag")
		}
		answer.Parts = append(answer.Parts, onetime.StoredPart{
			Number: int(aws.ToInt32(part.PartNumber)), Size: aws.ToInt64(part.Size), ETag: unquoted(part.ETag),
		})
	}
	return answer, nil
}

// CompleteUpload implements s3index.PartBucket.
func (c *Client) CompleteUpload(ctx context.Context, limit time.Duration, key, upload string, parts []onetime.StoredPart) (s3index.PartsAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	completed := make([]types.CompletedPart, len(parts))
	for i, part := range parts {
		completed[i] = types.CompletedPart{ETag: &part.ETag, PartNumber: aws.Int32(int32(part.Number))}
	}
	out, err := c.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &c.bucket, Key: &key, UploadId: &upload, IfNoneMatch: aws.String("*"),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: completed},
	})
	if err != nil {
		return partsAnswerOf(err)
	}
	if unquoted(out.ETag) == "" { // the SDK takes an answer without a body for a good one
		return s3index.PartsAnswer{}, errors.New("the answer about an upload: no ETag")
	}
	return s3index.PartsAnswer{Status: http.StatusOK, ETag: unquoted(out.ETag), CRC64NVME: aws.ToString(out.ChecksumCRC64NVME)}, nil
}

// AbortUpload implements s3index.PartBucket.
func (c *Client) AbortUpload(ctx context.Context, limit time.Duration, key, upload string) (s3index.PartsAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if _, err := c.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &c.bucket, Key: &key, UploadId: &upload}); err != nil {
		return partsAnswerOf(err)
	}
	return s3index.PartsAnswer{Status: http.StatusNoContent}, nil
}

// ListObjects implements s3index.Lister.
func (c *Client) ListObjects(ctx context.Context, limit time.Duration, list s3index.List) (s3index.ObjectsPage, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	input := &s3.ListObjectsV2Input{
		Bucket: &c.bucket, Prefix: &list.Prefix, MaxKeys: aws.Int32(int32(list.Max)), EncodingType: types.EncodingTypeUrl,
	}
	if list.After != "" {
		input.StartAfter = &list.After
	}
	if list.Delimiter != "" {
		input.Delimiter = &list.Delimiter
	}
	out, err := c.s3.ListObjectsV2(ctx, input)
	if err != nil {
		answer, err := answerOf(err)
		return s3index.ObjectsPage{Status: answer.Status, Code: answer.Code}, err
	}
	page := s3index.ObjectsPage{Status: http.StatusOK, More: aws.ToBool(out.IsTruncated)}
	key := decoder(out.EncodingType)
	for _, object := range out.Contents {
		page.Objects = append(page.Objects, s3index.ListedObject{Key: key(object.Key), Size: aws.ToInt64(object.Size), ETag: unquoted(object.ETag)})
	}
	return page, nil
}

func unquoted(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

// partsAnswerOf is answerOf. Of an error in the body of a 200 the SDK makes one with
// status 500.
func partsAnswerOf(err error) (s3index.PartsAnswer, error) {
	answer, err := answerOf(err)
	return s3index.PartsAnswer{Status: answer.Status, Code: answer.Code}, err
}
