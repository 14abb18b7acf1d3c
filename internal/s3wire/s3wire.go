// Package s3wire makes S3 requests with nothing but the SDK's SigV4 signer and a
// way to send bytes. It is the S3 client of the edge, where the whole SDK would
// cost more to load than the work it does.
package s3wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
)

// Sender sends one request to the endpoint's host and returns its complete answer
// within limit, or an error. It repeats nothing, and says with s3index.ErrStale
// when a reused connection was dead. target is path and query; the header holds
// Host as well.
type Sender interface {
	Send(ctx context.Context, limit time.Duration, method, target string, header http.Header, body []byte) (Reply, error)
}

// Reply is an answer to a Send.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Endpoint is where requests go: the bucket's own host, or some other S3 server,
// on which the bucket is the first part of the path.
type Endpoint struct {
	Scheme, Host string // Host with port, if any
	path         string // "" or "/<bucket>"
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
		return Endpoint{Scheme: "https", Host: ProductionHost(bucket, region)}, nil
	}
	u, err := url.Parse(override)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return Endpoint{}, fmt.Errorf("S3 endpoint %q: want http://host[:port] or https://host[:port]", override)
	}
	return Endpoint{Scheme: u.Scheme, Host: u.Host, path: "/" + bucket}, nil
}

// Client is one bucket. It implements s3index.Bucket and onetime.Presigner.
type Client struct {
	bucket, region string
	endpoint       Endpoint
	credentials    aws.Credentials
	sender         Sender
	now            func() time.Time
	// The signer keeps the day's signing key of the role, so it is shared.
	signer *v4.Signer
}

var (
	_ s3index.Bucket    = (*Client)(nil)
	_ onetime.Presigner = (*Client)(nil)
)

// New returns a client that signs with these credentials. now is the time that
// requests are signed with.
func New(bucket, region string, endpoint Endpoint, credentials aws.Credentials, sender Sender, now func() time.Time) *Client {
	return &Client{
		bucket:      bucket,
		region:      region,
		endpoint:    endpoint,
		credentials: credentials,
		sender:      sender,
		now:         now,
		signer:      newSigner(),
	}
}

func newSigner() *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = true // S3 alone signs the path as it is sent
	})
}

// Get implements s3index.Bucket.
func (c *Client) Get(ctx context.Context, limit time.Duration, key string) (s3index.Answer, error) {
	return c.object(ctx, limit, http.MethodGet, key, http.Header{}, nil)
}

// Head implements s3index.Bucket.
func (c *Client) Head(ctx context.Context, limit time.Duration, key string) (s3index.Answer, error) {
	return c.object(ctx, limit, http.MethodHead, key, http.Header{}, nil)
}

// Put implements s3index.Bucket.
func (c *Client) Put(ctx context.Context, limit time.Duration, object s3index.Object) (s3index.Answer, error) {
	header := http.Header{}
	header.Set("Content-Length", strconv.Itoa(len(object.Body)))
	header.Set("Content-Type", object.ContentType)
	for name, value := range object.Metadata {
		header.Set(metadataPrefix+name, value)
	}
	if object.IfAbsent {
		header.Set("If-None-Match", "*")
	}
	return c.object(ctx, limit, http.MethodPut, object.Key, header, object.Body)
}

// ListVersions implements s3index.Bucket.
func (c *Client) ListVersions(ctx context.Context, limit time.Duration, prefix string, from s3index.Marker) (s3index.Page, error) {
	query := url.Values{"versions": {""}, "prefix": {prefix}, "encoding-type": {"url"}}
	if from != (s3index.Marker{}) {
		query.Set("key-marker", from.Key)
		query.Set("version-id-marker", from.VersionID)
	}
	reply, err := c.send(ctx, limit, http.MethodGet, "/", query.Encode(), http.Header{}, nil)
	if err != nil || reply.Status != http.StatusOK {
		return s3index.Page{Status: reply.Status}, err
	}
	return parseVersions(reply.Body)
}

const metadataPrefix = "X-Amz-Meta-"

func (c *Client) object(ctx context.Context, limit time.Duration, method, key string, header http.Header, body []byte) (s3index.Answer, error) {
	reply, err := c.send(ctx, limit, method, "/"+key, "", header, body)
	if err != nil {
		return s3index.Answer{}, err
	}
	answer := s3index.Answer{
		Status:       reply.Status,
		VersionID:    reply.Header.Get("X-Amz-Version-Id"),
		DeleteMarker: reply.Header.Get("X-Amz-Delete-Marker") == "true",
		Metadata:     map[string]string{},
		Body:         reply.Body,
	}
	for name := range reply.Header {
		if short, ok := strings.CutPrefix(name, metadataPrefix); ok {
			answer.Metadata[strings.ToLower(short)] = reply.Header.Get(name)
		}
	}
	return answer, nil
}

// send signs and sends a request. path and query are sent as they are: keys of the
// index and of uploads need no escaping.
func (c *Client) send(ctx context.Context, limit time.Duration, method, path, query string, header http.Header, body []byte) (Reply, error) {
	path = c.endpoint.path + path
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	header.Set("X-Amz-Content-Sha256", hash)
	request := &http.Request{
		Method:        method,
		URL:           &url.URL{Scheme: c.endpoint.Scheme, Host: c.endpoint.Host, Path: path, RawQuery: query},
		Host:          c.endpoint.Host,
		Header:        header,
		ContentLength: int64(len(body)),
	}
	if err := c.signer.SignHTTP(ctx, c.credentials, request, hash, "s3", c.region, c.now()); err != nil {
		return Reply{}, fmt.Errorf("sign the request: %w", err)
	}
	header.Set("Host", c.endpoint.Host)
	target := path
	if query != "" {
		target += "?" + query
	}
	return c.sender.Send(ctx, limit, method, target, header, body)
}

// PresignMinted implements onetime.Presigner. Its signer is used once: a signer keeps
// one signing key for each Region and service and tells keys apart by access key and
// day, not by secret. A shared one would sign a URL with the secret of another, and
// derive the role's key anew for every request.
func (c *Client) PresignMinted(ctx context.Context, key, secret string, at time.Time, life time.Duration) (string, error) {
	return c.presign(ctx, newSigner(), aws.Credentials{AccessKeyID: onetime.MintedAccessKey, SecretAccessKey: secret}, key, nil, at, life)
}

// PresignUpload implements onetime.Presigner.
func (c *Client) PresignUpload(ctx context.Context, key string, headers map[string]string, at time.Time, life time.Duration) (string, error) {
	return c.presign(ctx, c.signer, c.credentials, key, headers, at, life)
}

func (c *Client) presign(ctx context.Context, signer *v4.Signer, credentials aws.Credentials, key string, headers map[string]string, at time.Time, life time.Duration) (string, error) {
	host := ProductionHost(c.bucket, c.region)
	// x-id is what the SDK's own presigner adds; with it both make the same URL.
	query := "X-Amz-Expires=" + strconv.FormatInt(int64(life/time.Second), 10) + "&x-id=PutObject"
	request := &http.Request{
		Method: http.MethodPut,
		URL:    &url.URL{Scheme: "https", Host: host, Path: "/" + key, RawQuery: query},
		Host:   host,
		Header: http.Header{},
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	signed, _, err := signer.PresignHTTP(ctx, credentials, request, "UNSIGNED-PAYLOAD", "s3", c.region, at)
	if err != nil {
		return "", fmt.Errorf("presign: %w", err)
	}
	_, query, _ = strings.Cut(signed, "?")
	return query, nil
}

// parseVersions reads a ListVersionsResult. Versions and delete markers come mixed,
// and their order is what the first-version rule goes by, so both are read as one
// sequence: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
func parseVersions(body []byte) (s3index.Page, error) {
	var result struct {
		XMLName             xml.Name `xml:"ListVersionsResult"`
		IsTruncated         *bool
		NextKeyMarker       string
		NextVersionIDMarker string `xml:"NextVersionIdMarker"`
		Entries             []struct {
			XMLName   xml.Name
			Key       string
			VersionID string `xml:"VersionId"`
		} `xml:",any"`
	}
	decoder := xml.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&result); err != nil {
		return s3index.Page{}, fmt.Errorf("list of versions: %w", err)
	}
	if result.IsTruncated == nil {
		return s3index.Page{}, fmt.Errorf("list of versions: IsTruncated is missing")
	}
	page := s3index.Page{Status: http.StatusOK}
	for _, entry := range result.Entries {
		marker := entry.XMLName.Local == "DeleteMarker"
		if !marker && entry.XMLName.Local != "Version" {
			continue
		}
		key, err := url.QueryUnescape(entry.Key)
		if err != nil {
			return s3index.Page{}, fmt.Errorf("list of versions: %w", err)
		}
		page.Versions = append(page.Versions, s3index.KeyVersion{
			Key:     key,
			Version: onetime.Version{ID: entry.VersionID, DeleteMarker: marker},
		})
	}
	if *result.IsTruncated {
		key, err := url.QueryUnescape(result.NextKeyMarker)
		if err != nil || key == "" {
			return s3index.Page{}, fmt.Errorf("list of versions: truncated without a NextKeyMarker")
		}
		page.Next = &s3index.Marker{Key: key, VersionID: result.NextVersionIDMarker}
	}
	return page, nil
}
