// Package s3wire makes S3 requests with nothing but a signature and a way to send
// bytes. It is the S3 client of the edge, where the SDK and net/http would cost more
// to load than the work they do.
package s3wire

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/lean/digest"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/wire"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
)

// Endpoint is where requests go: the bucket's own host, or some other S3 server,
// on which the bucket is the first part of the path.
type Endpoint struct {
	wire.Endpoint
	path string // "" or "/<bucket>"
}

// ProductionHost is the host that serves the bucket at AWS. It is the host that
// CloudFront puts into requests to its origin, so it is what uploads are signed
// for: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
func ProductionHost(bucket, region string) string {
	return bucket + ".s3." + region + ".amazonaws.com"
}

// NewEndpoint returns the bucket's endpoint at AWS or, when override is not empty,
// at that URL in path style (the meaning of AWS_ENDPOINT_URL_S3).
func NewEndpoint(bucket, region, override string) (Endpoint, error) {
	if override == "" {
		return Endpoint{wire.Endpoint{Scheme: "https", Host: ProductionHost(bucket, region)}, ""}, nil
	}
	endpoint, err := wire.ParseEndpoint(override)
	if err != nil {
		return Endpoint{}, fmt.Errorf("S3 endpoint %w", err)
	}
	return Endpoint{endpoint, "/" + bucket}, nil
}

// Client is one bucket. It implements s3index.PartBucket and
// onetime.PartPresigner.
type Client struct {
	bucket, region string
	endpoint       Endpoint
	sender         wire.Sender
	now            func() time.Time
	role           *sigv4.Signer
}

var (
	_ s3index.PartBucket    = (*Client)(nil)
	_ onetime.PartPresigner = (*Client)(nil)
)

// New returns a client that signs with these credentials. now is the time that
// requests are signed with.
func New(bucket, region string, endpoint Endpoint, credentials sigv4.Credentials, sender wire.Sender, now func() time.Time) *Client {
	return &Client{
		bucket:   bucket,
		region:   region,
		endpoint: endpoint,
		sender:   sender,
		now:      now,
		role:     sigv4.New(credentials, sigv4.S3, region),
	}
}

// Get implements s3index.Bucket.
func (c *Client) Get(ctx context.Context, limit time.Duration, key string) (s3index.Answer, error) {
	return c.object(ctx, limit, "GET", key, nil, nil)
}

// Head implements s3index.Bucket.
func (c *Client) Head(ctx context.Context, limit time.Duration, key string) (s3index.Answer, error) {
	return c.object(ctx, limit, "HEAD", key, nil, nil)
}

// Put implements s3index.Bucket.
func (c *Client) Put(ctx context.Context, limit time.Duration, object s3index.Object) (s3index.Answer, error) {
	headers := []wire.Header{{Name: "content-type", Value: object.ContentType}}
	for name, value := range object.Metadata {
		headers = append(headers, wire.Header{Name: s3index.MetadataPrefix + name, Value: value})
	}
	if object.IfAbsent {
		headers = append(headers, wire.Header{Name: "if-none-match", Value: "*"})
	}
	if object.IfMatch != "" {
		headers = append(headers, wire.Header{Name: "if-match", Value: object.IfMatch})
	}
	return c.object(ctx, limit, "PUT", object.Key, headers, object.Body)
}

// ListVersions implements s3index.Bucket.
func (c *Client) ListVersions(ctx context.Context, limit time.Duration, prefix string, from s3index.Marker) (s3index.Page, error) {
	query := []sigv4.Pair{{Name: "versions"}, {Name: "prefix", Value: prefix}, {Name: "encoding-type", Value: "url"}}
	if from != (s3index.Marker{}) {
		query = append(query, sigv4.Pair{Name: "key-marker", Value: from.Key}, sigv4.Pair{Name: "version-id-marker", Value: from.VersionID})
	}
	reply, err := c.send(ctx, limit, "GET", "/", sigv4.Encode(query), nil, nil)
	if err != nil || reply.Status != 200 {
		return s3index.Page{Status: reply.Status}, err
	}
	return parseVersions(string(reply.Body))
}

func (c *Client) object(ctx context.Context, limit time.Duration, method, key string, headers []wire.Header, body []byte) (s3index.Answer, error) {
	reply, err := c.send(ctx, limit, method, "/"+key, "", headers, body)
	if err != nil {
		return s3index.Answer{}, err
	}
	answer := s3index.Answer{
		Status:       reply.Status,
		VersionID:    reply.Header("x-amz-version-id"),
		ETag:         reply.Header("etag"),
		DeleteMarker: reply.Header("x-amz-delete-marker") == "true",
		Metadata:     map[string]string{},
		Date:         reply.Header("date"),
		Body:         reply.Body,
	}
	for _, h := range reply.Headers {
		if name, ok := strings.CutPrefix(h.Name, s3index.MetadataPrefix); ok {
			answer.Metadata[name] = h.Value
		}
	}
	return answer, nil
}

// emptyDigest is the SHA-256 of nothing, which is the body of every read.
const emptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// send signs and sends a request. path and query are sent as they are: keys of the
// index and of uploads need no escaping.
func (c *Client) send(ctx context.Context, limit time.Duration, method, path, query string, headers []wire.Header, body []byte) (wire.Reply, error) {
	return c.sendWith(ctx, limit, method, path, query, headers, nil, body)
}

// sendWith is send with headers that are not signed.
func (c *Client) sendWith(ctx context.Context, limit time.Duration, method, path, query string, headers, unsigned []wire.Header, body []byte) (wire.Reply, error) {
	path = c.endpoint.path + path
	hash := emptyDigest
	if len(body) > 0 {
		hash = digest.Hex(body)
	}
	headers = append(headers, wire.Header{Name: "host", Value: c.endpoint.Host}, wire.Header{Name: "x-amz-content-sha256", Value: hash})
	headers = append(c.role.Sign(method, path, query, headers, hash, c.now()), unsigned...)
	if body != nil {
		headers = append(headers, wire.Header{Name: "content-length", Value: strconv.Itoa(len(body))})
	}
	target := path
	if query != "" {
		target += "?" + query
	}
	return c.sender.Send(ctx, limit, method, target, headers, body)
}

// PresignUpload implements onetime.Presigner.
func (c *Client) PresignUpload(_ context.Context, key string, headers, metadata map[string]string, at time.Time, life time.Duration) (string, error) {
	signed := []wire.Header{{Name: "host", Value: ProductionHost(c.bucket, c.region)}}
	for name, value := range headers {
		signed = append(signed, wire.Header{Name: name, Value: value})
	}
	// x-id is what the SDK's own presigner adds; with it both make the same URL.
	more := append(make([]sigv4.Pair, 0, len(metadata)+1), sigv4.Pair{Name: "x-id", Value: "PutObject"})
	// S3 takes metadata from the query of a presigned request as from headers:
	// https://github.com/aws/aws-sdk-js-v3/issues/4694
	for name, value := range metadata {
		more = append(more, sigv4.Pair{Name: s3index.MetadataPrefix + name, Value: value})
	}
	return c.role.Presign("PUT", "/"+key, signed, more, at, life), nil
}
