package s3sdk

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/acceptance"
)

// BeginCopy implements acceptance.Store. It names no checksum. S3 then computes the
// CRC-64/NVME of the whole object, as it does for uploads:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
func (a *AcceptanceStore) BeginCopy(ctx context.Context, source acceptance.Object, to string) (string, error) {
	h := headersOf(source)
	out, err := a.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &a.bucket, Key: &to, Metadata: acceptance.CopyMetadata(source), Tagging: tagging(source), StorageClass: a.class,
		ContentType: h.text("content-type"), ContentDisposition: h.text("content-disposition"), ContentEncoding: h.text("content-encoding"),
		ContentLanguage: h.text("content-language"), CacheControl: h.text("cache-control"), Expires: h.time("expires"),
	})
	if err != nil {
		return "", answered("CreateMultipartUpload", err, nil)
	}
	return aws.ToString(out.UploadId), nil
}

// CopiedParts implements acceptance.Store.
func (a *AcceptanceStore) CopiedParts(ctx context.Context, to, upload string) (all []acceptance.Part, err error) {
	out, err := a.s3.ListParts(ctx, &s3.ListPartsInput{Bucket: &a.bucket, Key: &to, UploadId: &upload, MaxParts: aws.Int32(acceptance.MaxParts)})
	if err != nil {
		return nil, answered("ListParts", err, gone)
	}
	for _, p := range out.Parts {
		all = append(all, acceptance.Part{
			Number: int(aws.ToInt32(p.PartNumber)), Size: aws.ToInt64(p.Size), ETag: aws.ToString(p.ETag),
		})
	}
	return all, nil
}

// CopyPart implements acceptance.Store.
func (a *AcceptanceStore) CopyPart(ctx context.Context, source acceptance.Object, to, upload string, number int, from, length int64) (acceptance.Part, error) {
	out, err := a.s3.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
		Bucket: &a.bucket, Key: &to, UploadId: &upload, PartNumber: aws.Int32(int32(number)),
		CopySource: a.source(source), CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", from, from+length-1)),
	})
	if err != nil {
		return acceptance.Part{}, answered("UploadPartCopy", err, gone)
	}
	part := acceptance.Part{Number: number, Size: length}
	if r := out.CopyPartResult; r != nil {
		part.ETag = aws.ToString(r.ETag)
	}
	if part.ETag == "" { // the SDK takes an answer without a body for a good one
		return acceptance.Part{}, fmt.Errorf("UploadPartCopy: no ETag in the answer about part %d", number)
	}
	return part, nil
}

// CompleteCopy implements acceptance.Store. S3 makes no object if its size would not be
// the source's:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
func (a *AcceptanceStore) CompleteCopy(ctx context.Context, source acceptance.Object, to, upload string, parts []acceptance.Part) error {
	completed := make([]types.CompletedPart, len(parts))
	for i, p := range parts {
		completed[i] = types.CompletedPart{PartNumber: aws.Int32(int32(p.Number)), ETag: &p.ETag}
	}
	out, err := a.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &a.bucket, Key: &to, UploadId: &upload, IfNoneMatch: aws.String("*"), MpuObjectSize: &source.Size,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: completed},
	})
	if err == nil && aws.ToString(out.ETag) == "" {
		return fmt.Errorf("CompleteMultipartUpload: no ETag in the answer")
	}
	return answered("CompleteMultipartUpload", err, writes)
}

// DropCopy implements acceptance.Store.
func (a *AcceptanceStore) DropCopy(ctx context.Context, to, upload string) error {
	_, err := a.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &a.bucket, Key: &to, UploadId: &upload})
	return answered("AbortMultipartUpload", err, gone)
}
