package s3wire

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/wire"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
)

// CreateUpload implements s3index.PartBucket.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
func (c *Client) CreateUpload(ctx context.Context, limit time.Duration, key string, headers, signed, metadata map[string]string) (s3index.PartsAnswer, error) {
	unsigned := make([]wire.Header, 0, len(headers))
	for name, value := range headers {
		unsigned = append(unsigned, wire.Header{Name: name, Value: value})
	}
	own := make([]wire.Header, 0, len(signed)+len(metadata)+2)
	for name, value := range signed {
		own = append(own, wire.Header{Name: name, Value: value})
	}
	for name, value := range metadata {
		own = append(own, wire.Header{Name: s3index.MetadataPrefix + name, Value: value})
	}
	// A body of no bytes has a length; without one Node would send it in chunks.
	reply, err := c.sendWith(ctx, limit, "POST", "/"+key, "uploads=", own, unsigned, []byte{})
	return partsAnswer(reply, err, "InitiateMultipartUploadResult", func(result element, answer *s3index.PartsAnswer) (err error) {
		answer.Upload, err = result.text("UploadId")
		return err
	})
}

// ListParts implements s3index.PartBucket.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
func (c *Client) ListParts(ctx context.Context, limit time.Duration, key, upload string) (s3index.PartsAnswer, error) {
	query := sigv4.Encode([]sigv4.Pair{{Name: "max-parts", Value: strconv.Itoa(onetime.MaxParts)}, {Name: "uploadId", Value: upload}})
	reply, err := c.send(ctx, limit, "GET", "/"+key, query, nil, nil)
	return partsAnswer(reply, err, "ListPartsResult", readParts)
}

// CompleteUpload implements s3index.PartBucket.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
func (c *Client) CompleteUpload(ctx context.Context, limit time.Duration, key, upload string, parts []onetime.StoredPart) (s3index.PartsAnswer, error) {
	query := sigv4.Encode([]sigv4.Pair{{Name: "uploadId", Value: upload}})
	headers := []wire.Header{{Name: "content-type", Value: "application/xml"}, {Name: "if-none-match", Value: "*"}}
	reply, err := c.send(ctx, limit, "POST", "/"+key, query, headers, completion(parts))
	return partsAnswer(reply, err, "CompleteMultipartUploadResult", func(result element, answer *s3index.PartsAnswer) error {
		etag, err := result.text("ETag")
		if answer.ETag = strings.Trim(etag, `"`); answer.ETag == "" && err == nil {
			err = errNoETag
		}
		if err == nil {
			answer.CRC64NVME, err = result.text("ChecksumCRC64NVME")
		}
		return err
	})
}

// AbortUpload implements s3index.PartBucket.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
func (c *Client) AbortUpload(ctx context.Context, limit time.Duration, key, upload string) (s3index.PartsAnswer, error) {
	reply, err := c.send(ctx, limit, "DELETE", "/"+key, sigv4.Encode([]sigv4.Pair{{Name: "uploadId", Value: upload}}), nil, nil)
	return partsAnswer(reply, err, "", nil) // 204 has no body
}

// PresignPart implements onetime.PartPresigner.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
func (c *Client) PresignPart(_ context.Context, key, upload string, number int, at time.Time, life time.Duration) (string, error) {
	host := []wire.Header{{Name: "host", Value: ProductionHost(c.bucket, c.region)}}
	more := []sigv4.Pair{{Name: "partNumber", Value: strconv.Itoa(number)}, {Name: "uploadId", Value: upload}, {Name: "x-id", Value: "UploadPart"}}
	return c.role.Presign("PUT", "/"+key, host, more, at, life), nil
}

// partsAnswer reads a reply: its result, whose element has this name, or the code of an
// error, whatever the status. S3 begins the answer to a Complete before it knows the
// outcome, and keeps the connection alive with white space.
func partsAnswer(reply wire.Reply, err error, name string, read func(element, *s3index.PartsAnswer) error) (s3index.PartsAnswer, error) {
	answer := s3index.PartsAnswer{Status: reply.Status}
	if err != nil || reply.Status == 204 {
		return answer, err
	}
	result, err := parseXML(strings.TrimLeft(string(reply.Body), " \t\r\n"))
	switch {
	case err == nil && result.name == "Error":
		var code string
		code, err = result.text("Code")
		if code == "" && err == nil {
			err = errors.New("an error without a code")
		}
		answer.Code = s3index.Code(code)
	case err == nil && result.name == name:
		err = read(result, &answer)
	case err == nil:
		err = fmt.Errorf("a %q", result.name)
	}
	if err == nil {
		return answer, nil
	}
	if reply.Status != 200 {
		return s3index.PartsAnswer{Status: reply.Status}, nil // which says enough
	}
	return s3index.PartsAnswer{}, fmt.Errorf("the answer about an upload: %w", err)
}

func readParts(result element, answer *s3index.PartsAnswer) error {
	more, err := result.truncated()
	if err != nil {
		return err
	}
	answer.More = more
	for _, child := range result.children {
		if child.name != "Part" {
			continue
		}
		number, err := child.number("PartNumber")
		if err != nil {
			return err
		}
		part := onetime.StoredPart{Number: int(number)}
		if part.Size, part.ETag, err = child.sizeAndETag(); err != nil {
			return err
		}
		answer.Parts = append(answer.Parts, part)
	}
	return nil
}

// number is the text of the one child of this name, as a number.
func (e element) number(name string) (int64, error) {
	text, err := e.text(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err
}

var errNoETag = errors.New("no ETag")

func (e element) sizeAndETag() (size int64, etag string, err error) {
	if size, err = e.number("Size"); err == nil {
		etag, err = e.text("ETag")
	}
	if etag = strings.Trim(etag, `"`); etag == "" && err == nil {
		err = errNoETag
	}
	return size, etag, err
}

// completion is the body that names the parts of an object.
func completion(parts []onetime.StoredPart) []byte {
	b := make([]byte, 0, 128+100*len(parts))
	b = append(b, `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`...)
	for _, part := range parts {
		b = append(append(append(b, "<Part><ETag>"...), escaped(part.ETag)...), "</ETag><PartNumber>"...)
		b = append(strconv.AppendInt(b, int64(part.Number), 10), "</PartNumber></Part>"...)
	}
	return append(b, "</CompleteMultipartUpload>"...)
}

// escaped is text as the content of an element.
func escaped(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(text, "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
}
