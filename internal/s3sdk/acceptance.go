package s3sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/acceptance"
	"oncegate/internal/layout"
)

// AcceptanceStore is the bucket as package acceptance uses it. Unlike Client it
// repeats requests by itself: whatever acceptance does may be done twice.
//
// Actions that the role needs: s3:GetObject, s3:GetObjectVersion, s3:PutObject,
// s3:PutObjectTagging, s3:ListMultipartUploadParts and s3:AbortMultipartUpload on accepted/*;
// s3:GetObjectVersion, s3:GetObjectVersionTagging and s3:PutObjectVersionTagging on
// uploads/*; s3:GetObject on signatures/uploads/*;
// s3:ListBucket (for 404 where an object is absent) and s3:ListBucketVersions on
// the bucket.
type AcceptanceStore struct {
	bucket string
	class  types.StorageClass
	s3     *s3.Client
}

var _ acceptance.Store = (*AcceptanceStore)(nil)

// NewAcceptanceStore returns a store in the bucket in region. endpoint is as for New.
// class is the storage class of copies, "" for S3's own choice.
func NewAcceptanceStore(bucket, region, endpoint, class string, provider aws.CredentialsProvider) *AcceptanceStore {
	return &AcceptanceStore{bucket, types.StorageClass(class), s3.New(s3.Options{
		Region: region, Credentials: provider, BaseEndpoint: endpointOption(endpoint), UsePathStyle: endpoint != "",
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 4, 2*time.Second }),
		// Neither asks for a checksum of the SDK's own choosing.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})}
}

// HeadAccepted implements acceptance.Store.
func (a *AcceptanceStore) HeadAccepted(ctx context.Context, key string) (acceptance.Object, error) {
	o, err := a.head(ctx, key, nil)
	if answer, _ := answerOf(err); answer.DeleteMarker {
		return acceptance.Object{}, acceptance.ErrConsumed
	}
	return o, answered("HeadObject", err, map[int]error{http.StatusNotFound: acceptance.ErrAbsent})
}

// HeadVersion implements acceptance.Store.
func (a *AcceptanceStore) HeadVersion(ctx context.Context, key, version string) (acceptance.Object, error) {
	o, err := a.head(ctx, key, &version)
	return o, answered("HeadObject", err, gone)
}

// gone are the answers about a version that no longer exists.
var gone = map[int]error{http.StatusNotFound: acceptance.ErrAbsent}

func (a *AcceptanceStore) head(ctx context.Context, key string, version *string) (acceptance.Object, error) {
	out, err := a.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &a.bucket, Key: &key, VersionId: version, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return acceptance.Object{}, err
	}
	o := acceptance.Object{
		Key: key, Version: aws.ToString(out.VersionId), Size: aws.ToInt64(out.ContentLength), ETag: aws.ToString(out.ETag),
		SHA256: sha256Hex(out.ChecksumSHA256), CRC64NVME: aws.ToString(out.ChecksumCRC64NVME), Modified: aws.ToTime(out.LastModified),
		KMS: strings.HasPrefix(string(out.ServerSideEncryption), "aws:kms"), Metadata: out.Metadata, Headers: map[string]string{},
	}
	for name, value := range map[string]*string{
		"content-type": out.ContentType, "content-disposition": out.ContentDisposition, "content-encoding": out.ContentEncoding,
		"content-language": out.ContentLanguage, "cache-control": out.CacheControl, "expires": out.ExpiresString,
	} {
		if aws.ToString(value) != "" {
			o.Headers[name] = *value
		}
	}
	return o, nil
}

// ListVersions implements acceptance.Store.
func (a *AcceptanceStore) ListVersions(ctx context.Context, key string) (all []acceptance.Version, err error) {
	pages := s3.NewListObjectVersionsPaginator(a.s3, &s3.ListObjectVersionsInput{Bucket: &a.bucket, Prefix: &key, EncodingType: types.EncodingTypeUrl})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, answered("ListObjectVersions", err, nil)
		}
		name := decoder(page.EncodingType)
		for _, v := range page.Versions {
			if name(v.Key) == key { // a prefix matches longer keys as well
				all = append(all, acceptance.Version{ID: aws.ToString(v.VersionId), Size: aws.ToInt64(v.Size)})
			}
		}
	}
	return all, nil
}

// Tags implements acceptance.Store.
func (a *AcceptanceStore) Tags(ctx context.Context, key, version string) (map[string]string, error) {
	out, err := a.s3.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &a.bucket, Key: &key, VersionId: &version})
	if err != nil {
		return nil, answered("GetObjectTagging", err, gone)
	}
	tags := map[string]string{}
	for _, t := range out.TagSet {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// SetTags implements acceptance.Store.
func (a *AcceptanceStore) SetTags(ctx context.Context, key, version string, tags map[string]string) error {
	var set []types.Tag
	for name, value := range tags {
		set = append(set, types.Tag{Key: &name, Value: &value})
	}
	_, err := a.s3.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: &a.bucket, Key: &key, VersionId: &version, Tagging: &types.Tagging{TagSet: set}})
	return answered("PutObjectTagging", err, gone)
}

// Copy implements acceptance.Store. The metadata is replaced, by what it was and one
// thing more; the tags by all but that of acceptance. S3 computes the checksum that the source has:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func (a *AcceptanceStore) Copy(ctx context.Context, source acceptance.Object, to string) (string, error) {
	h := headersOf(source)
	in := &s3.CopyObjectInput{
		Bucket: &a.bucket, Key: &to, IfNoneMatch: aws.String("*"), CopySource: a.source(source),
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: acceptance.CopyMetadata(source), TaggingDirective: types.TaggingDirectiveReplace,
		Tagging: tagging(source), StorageClass: a.class,
		ContentType: h.text("content-type"), ContentDisposition: h.text("content-disposition"), ContentEncoding: h.text("content-encoding"),
		ContentLanguage: h.text("content-language"), CacheControl: h.text("cache-control"), Expires: h.time("expires"),
	}
	if source.SHA256 != "" {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256
	}
	out, err := a.s3.CopyObject(ctx, in)
	if err != nil {
		return "", answered("CopyObject", err, writes)
	}
	return aws.ToString(out.VersionId), nil
}

// tagging is the header with the tags of a copy, spelled as the gate does, nil if there are none.
func tagging(source acceptance.Object) *string {
	if len(source.Tags) == 0 {
		return nil
	}
	tags := url.Values{}
	for key, value := range source.Tags {
		tags.Set(key, value)
	}
	return aws.String(strings.ReplaceAll(tags.Encode(), "+", "%20"))
}

// writes are the answers to a conditional write of what may be gone.
var writes = map[int]error{
	http.StatusPreconditionFailed: acceptance.ErrExists, http.StatusConflict: acceptance.ErrConflict, http.StatusNotFound: acceptance.ErrAbsent,
}

// source names the version to copy. Bucket and key have nothing that would need escaping.
func (a *AcceptanceStore) source(o acceptance.Object) *string {
	return aws.String(a.bucket + "/" + o.Key + "?versionId=" + url.QueryEscape(o.Version))
}

// headersOf are the headers of an object, as fields of a request.
type headersOf acceptance.Object

func (h headersOf) text(name string) *string {
	if v, ok := h.Headers[name]; ok {
		return &v
	}
	return nil
}

func (h headersOf) time(name string) *time.Time {
	if t, err := http.ParseTime(h.Headers[name]); err == nil {
		return &t
	}
	return nil
}

// ReadUpload implements acceptance.Store.
func (a *AcceptanceStore) ReadUpload(ctx context.Context, key string) ([]byte, error) {
	out, err := a.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &a.bucket, Key: aws.String(layout.UploadEntry(key))})
	if err != nil {
		return nil, answered("GetObject", err, map[int]error{http.StatusNotFound: acceptance.ErrAbsent})
	}
	defer out.Body.Close()
	return io.ReadAll(io.LimitReader(out.Body, maxBodyBytes))
}

// answered is nil, what definite says of the answer's status, or the error in a few
// words: the SDK's own text goes over several lines of request ids.
func answered(op string, err error, definite map[int]error) error {
	if err == nil {
		return nil
	}
	answer, noAnswer := answerOf(err)
	if noAnswer == nil && definite[answer.Status] != nil {
		return definite[answer.Status]
	}
	if api, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		return fmt.Errorf("%s: status %d %s", op, answer.Status, api.ErrorCode())
	}
	if i := strings.LastIndex(err.Error(), "\n"); i >= 0 {
		return fmt.Errorf("%s: no answer", op)
	}
	return fmt.Errorf("%s: %w", op, err)
}
