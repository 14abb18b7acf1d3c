// Package s3sdk makes S3 requests with the AWS SDK. It is the S3 client of the CLI
// and of regional Lambda functions; what it stores, answers and signs is the same
// as package s3wire's.
package s3sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
)

// maxBodyBytes bounds what is read of an answer; entries are far smaller.
const maxBodyBytes = 1 << 20

// idleTime is how long an idle connection is used again.
const idleTime = 15 * time.Second

// Client is one bucket. It implements s3index.PartBucket and
// onetime.PartPresigner.
type Client struct {
	bucket string
	s3     *s3.Client
}

var (
	_ s3index.PartBucket    = (*Client)(nil)
	_ onetime.PartPresigner = (*Client)(nil)
)

// New returns a client for the bucket in region. endpoint is "" for AWS, or the
// URL of another S3 server, which is then used in path style.
func New(bucket, region, endpoint string, provider aws.CredentialsProvider) *Client {
	return &Client{bucket, s3.New(s3.Options{
		Region:       region,
		Credentials:  provider,
		BaseEndpoint: endpointOption(endpoint),
		UsePathStyle: endpoint != "",
		// The domain repeats requests itself: only it knows that a claim whose
		// answer got lost is not a stranger's.
		Retryer: aws.NopRetryer{},
		// S3 does not say when it closes idle connections, and a Lambda container may
		// have been frozen for hours in between.
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.IdleConnTimeout = idleTime
		}),
		// Without this the SDK adds checksums of its own choosing to what it
		// stores and signs.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})}
}

func endpointOption(endpoint string) *string {
	if endpoint == "" {
		return nil
	}
	return &endpoint
}

// Get implements s3index.Bucket.
func (c *Client) Get(ctx context.Context, limit time.Duration, key string) (s3index.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.bucket, Key: &key})
	if err != nil {
		return answerOf(err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(io.LimitReader(out.Body, maxBodyBytes))
	if err != nil {
		return s3index.Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	return s3index.Answer{
		Status:    http.StatusOK,
		VersionID: aws.ToString(out.VersionId),
		ETag:      aws.ToString(out.ETag),
		Metadata:  out.Metadata,
		Date:      date(out.ResultMetadata),
		Body:      body,
	}, nil
}

// Head implements s3index.Bucket.
func (c *Client) Head(ctx context.Context, limit time.Duration, key string) (s3index.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := c.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &c.bucket, Key: &key})
	if err != nil {
		return answerOf(err)
	}
	return s3index.Answer{
		Status:    http.StatusOK,
		VersionID: aws.ToString(out.VersionId),
		Metadata:  out.Metadata,
	}, nil
}

// Put implements s3index.Bucket.
func (c *Client) Put(ctx context.Context, limit time.Duration, object s3index.Object) (s3index.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	input := &s3.PutObjectInput{
		Bucket:      &c.bucket,
		Key:         &object.Key,
		Body:        bytes.NewReader(object.Body),
		ContentType: &object.ContentType,
		Metadata:    object.Metadata,
	}
	if object.IfAbsent {
		input.IfNoneMatch = aws.String("*")
	}
	if object.IfMatch != "" {
		input.IfMatch = &object.IfMatch
	}
	out, err := c.s3.PutObject(ctx, input)
	if err != nil {
		return answerOf(err)
	}
	return s3index.Answer{
		Status:    http.StatusOK,
		VersionID: aws.ToString(out.VersionId),
		Date:      date(out.ResultMetadata),
	}, nil
}

// date is what the answer's header says. The SDK corrects the time of its own signatures
// by it, so a wrong clock here, however wrong, shows nowhere else.
func date(metadata middleware.Metadata) string {
	response, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response)
	if !ok {
		return ""
	}
	return response.Header.Get("Date")
}

// ListVersions implements s3index.Bucket. The SDK returns versions and delete
// markers as two lists, each in S3's order, and so loses how they interleave. The
// first-version rule needs only to know that there is a delete marker at all, and
// which version comes last; the markers are put in front.
func (c *Client) ListVersions(ctx context.Context, limit time.Duration, prefix string, from s3index.Marker) (s3index.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	input := &s3.ListObjectVersionsInput{Bucket: &c.bucket, Prefix: &prefix, EncodingType: types.EncodingTypeUrl}
	if from != (s3index.Marker{}) {
		input.KeyMarker, input.VersionIdMarker = &from.Key, &from.VersionID
	}
	out, err := c.s3.ListObjectVersions(ctx, input)
	if err != nil {
		answer, err := answerOf(err)
		return s3index.Page{Status: answer.Status, Code: answer.Code}, err
	}
	page := s3index.Page{Status: http.StatusOK}
	name := decoder(out.EncodingType)
	for _, m := range out.DeleteMarkers {
		page.Versions = append(page.Versions, s3index.KeyVersion{
			Key:     name(m.Key),
			Version: onetime.Version{ID: aws.ToString(m.VersionId), DeleteMarker: true},
		})
	}
	for _, v := range out.Versions {
		page.Versions = append(page.Versions, s3index.KeyVersion{
			Key:     name(v.Key),
			Version: onetime.Version{ID: aws.ToString(v.VersionId)},
		})
	}
	if aws.ToBool(out.IsTruncated) {
		page.Next = &s3index.Marker{Key: name(out.NextKeyMarker), VersionID: aws.ToString(out.NextVersionIdMarker)}
	}
	return page, nil
}

// decoder returns how to read keys in a list. Lists ask for keys in the encoding of URLs: a
// key may hold characters that XML cannot, and then the whole list could not be read.
func decoder(encoding types.EncodingType) func(key *string) string {
	if encoding != types.EncodingTypeUrl {
		return aws.ToString
	}
	return func(key *string) string {
		decoded, err := url.QueryUnescape(aws.ToString(key))
		if err != nil {
			return aws.ToString(key) // the name of nothing that is looked for
		}
		return decoded
	}
}

// answerOf tells an answer that the SDK reports as an error from no answer.
func answerOf(err error) (s3index.Answer, error) {
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	switch {
	case !ok, response.Response == nil, response.HTTPStatusCode() == http.StatusOK:
		return s3index.Answer{}, err // no answer, or a 200 whose body was cut short
	case response.HTTPStatusCode() == 0: // the SDK makes up an answer where none came
		for inner := err; inner != nil; inner = errors.Unwrap(inner) {
			err = inner // what surrounds the cause is request ids
		}
		return s3index.Answer{}, err
	}
	answer := s3index.Answer{
		Status:       response.HTTPStatusCode(),
		DeleteMarker: response.Response.Header.Get("X-Amz-Delete-Marker") == "true",
	}
	// The code alone: the SDK's whole text goes over several lines of request ids.
	if api, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		answer.Code = s3index.Code(api.ErrorCode())
	}
	return answer, nil
}

// PresignUpload implements onetime.Presigner. It signs for AWS, whatever endpoint the
// client itself talks to.
func (c *Client) PresignUpload(ctx context.Context, key string, headers, metadata map[string]string, at time.Time, life time.Duration) (string, error) {
	return queryOf(c.presigner(headers, metadata, at, life).PresignPutObject(ctx, &s3.PutObjectInput{Bucket: &c.bucket, Key: &key}))
}

// PresignPart implements onetime.PartPresigner.
func (c *Client) PresignPart(ctx context.Context, key, upload string, number int, at time.Time, life time.Duration) (string, error) {
	return queryOf(c.presigner(nil, nil, at, life).PresignUploadPart(ctx, &s3.UploadPartInput{
		Bucket: &c.bucket, Key: &key, UploadId: &upload, PartNumber: aws.Int32(int32(number)),
	}))
}

func (c *Client) presigner(headers, metadata map[string]string, at time.Time, life time.Duration) *s3.PresignClient {
	return s3.NewPresignClient(c.s3, func(o *s3.PresignOptions) {
		o.Expires = life
		o.Presigner = presignAt{v4.NewSigner(), headers, metadata, at}
		o.ClientOptions = append(o.ClientOptions, func(o *s3.Options) {
			o.BaseEndpoint = nil
			o.UsePathStyle = false
			// Else the SDK would write into what all its clients made from c share.
			// It is for directory buckets alone.
			o.ExpressCredentials = nil
		})
	})
}

func queryOf(signed *v4.PresignedHTTPRequest, err error) (string, error) {
	if err != nil {
		return "", fmt.Errorf("presign: %w", err)
	}
	u, err := url.Parse(signed.URL)
	if err != nil {
		return "", fmt.Errorf("presign: %w", err)
	}
	return u.RawQuery, nil
}

// presignAt signs with given headers, with given metadata in the query, and with a given time
// instead of the wall clock's.
type presignAt struct {
	signer            *v4.Signer
	headers, metadata map[string]string
	at                time.Time
}

func (p presignAt) PresignHTTP(
	ctx context.Context, credentials aws.Credentials, r *http.Request,
	payloadHash, service, region string, _ time.Time, options ...func(*v4.SignerOptions),
) (string, http.Header, error) {
	for name, value := range p.headers {
		r.Header.Set(name, value)
	}
	if len(p.metadata) > 0 {
		query := r.URL.Query()
		for name, value := range p.metadata {
			query.Set(s3index.MetadataPrefix+name, value)
		}
		r.URL.RawQuery = query.Encode()
	}
	return p.signer.PresignHTTP(ctx, credentials, r, payloadHash, service, region, p.at, options...)
}
