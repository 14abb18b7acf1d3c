package s3wire

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/urlquery"
	"oncegate/internal/s3index"
)

// ListObjects implements s3index.Lister.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
func (c *Client) ListObjects(ctx context.Context, limit time.Duration, list s3index.List) (s3index.ObjectsPage, error) {
	query := []sigv4.Pair{
		{Name: "list-type", Value: "2"}, {Name: "encoding-type", Value: "url"},
		{Name: "max-keys", Value: strconv.Itoa(list.Max)}, {Name: "prefix", Value: list.Prefix},
	}
	if list.After != "" {
		query = append(query, sigv4.Pair{Name: "start-after", Value: list.After})
	}
	if list.Delimiter != "" {
		query = append(query, sigv4.Pair{Name: "delimiter", Value: list.Delimiter})
	}
	reply, err := c.send(ctx, limit, "GET", "/", sigv4.Encode(query), nil, nil)
	if err != nil || reply.Status != 200 {
		return s3index.ObjectsPage{Status: reply.Status}, err
	}
	return parseObjects(string(reply.Body), list.Max)
}

// parseObjects reads a ListBucketResult of max objects at the most.
func parseObjects(body string, max int) (s3index.ObjectsPage, error) {
	fail := func(err error) (s3index.ObjectsPage, error) {
		return s3index.ObjectsPage{}, fmt.Errorf("list of objects: %w", err)
	}
	result, err := parseXML(body)
	if err != nil {
		return fail(err)
	}
	if result.name != "ListBucketResult" {
		return fail(fmt.Errorf("a %q", result.name))
	}
	page := s3index.ObjectsPage{Status: 200}
	if page.More, err = result.truncated(); err != nil {
		return fail(err)
	}
	for _, child := range result.children {
		if child.name != "Contents" {
			continue
		}
		var object s3index.ListedObject
		if object.Key, err = child.text("Key"); err == nil {
			object.Key, err = urlquery.Unescape(object.Key)
		}
		if err == nil && object.Key == "" {
			err = errors.New("an object without a key")
		}
		if err == nil {
			object.Size, object.ETag, err = child.sizeAndETag()
		}
		if err == nil && len(page.Objects) == max {
			err = errors.New("more objects than were asked for")
		}
		if err != nil {
			return fail(err)
		}
		page.Objects = append(page.Objects, object)
	}
	return page, nil
}

// truncated reports whether a list goes on.
func (e element) truncated() (bool, error) {
	switch truncated, err := e.text("IsTruncated"); {
	case err != nil:
		return false, err
	case truncated != "true" && truncated != "false":
		return false, errors.New("IsTruncated is neither true nor false")
	default:
		return truncated == "true", nil
	}
}
