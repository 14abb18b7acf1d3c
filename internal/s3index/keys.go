package s3index

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

// ReadKey returns the record of the API key with this ID, or onetime.ErrAbsent.
func (x *Index) ReadKey(ctx context.Context, limit time.Duration, id string) ([]byte, error) {
	answer, err := x.bucket.Get(ctx, limit, layout.APIKeys+id)
	if err = outcome("ReadKey", answer, err, readAnswer); err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// CreateKey writes the record of a new API key, or returns onetime.ErrExists.
func (x *Index) CreateKey(ctx context.Context, limit time.Duration, id string, body []byte) error {
	answer, err := x.bucket.Put(ctx, limit, Object{Key: layout.APIKeys + id, Body: body, ContentType: contentType, IfAbsent: true})
	return outcome("CreateKey", answer, err, claimAnswer)
}

// ReplaceKey writes the record of an API key over the one that is there.
func (x *Index) ReplaceKey(ctx context.Context, limit time.Duration, id string, body []byte) error {
	answer, err := x.bucket.Put(ctx, limit, Object{Key: layout.APIKeys + id, Body: body, ContentType: contentType})
	return outcome("ReplaceKey", answer, err, nil)
}

// ListKeys returns the IDs of all API keys that ever had a record, in S3's order;
// one whose record was deleted is among them. limit bounds each page.
func (x *Index) ListKeys(ctx context.Context, limit time.Duration) ([]string, error) {
	const op = "ListKeys"
	var ids []string
	seen := map[string]bool{}
	var from Marker
	for {
		page, err := x.bucket.ListVersions(ctx, limit, layout.APIKeys, from)
		if err = outcome(op, Answer{Status: page.Status, Code: page.Code}, err, nil); err != nil {
			return nil, err
		}
		for _, v := range page.Versions {
			id := strings.TrimPrefix(v.Key, layout.APIKeys)
			if !seen[id] {
				ids = append(ids, id)
			}
			seen[id] = true
		}
		if page.Next == nil {
			return ids, nil
		}
		if *page.Next == from {
			return nil, &onetime.Fault{Op: op, Status: 200, Err: errors.New("the next page is the same page")}
		}
		if len(ids) > maxKeys {
			return nil, &onetime.Fault{Op: op, Status: 200, Err: fmt.Errorf("more than %d keys", maxKeys)}
		}
		from = *page.Next
	}
}

// maxKeys bounds a list of keys.
const maxKeys = 100_000
