package verify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/layout"
)

// slots writes an object where the slots of an invitation lie that nobody has, and replaces
// it as several guests at once replace a slot. It stays there until its lifecycle is over.
func (r *run) slots(ctx context.Context) error {
	if r.bucket.table != nil {
		return r.slotsInTable(ctx)
	}
	const guests = 8
	key := layout.Slots("verify") + strings.ToLower(rand.Text())
	put := func(body string, absent, etag *string) (string, error) {
		out, err := r.bucket.s3.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &r.bucket.name, Key: &key, Body: strings.NewReader(body), IfNoneMatch: absent, IfMatch: etag,
		})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.ETag), nil
	}
	etag, err := put("first", aws.String("*"), nil)
	if err != nil {
		return denied("s3:PutObject on "+key, err)
	}
	r.slot = key
	var all sync.WaitGroup
	errs := make([]error, guests)
	for i := range guests {
		all.Go(func() { _, errs[i] = put(fmt.Sprintf("guest %d", i), nil, &etag) })
	}
	all.Wait()
	taken := 0
	for _, err := range errs {
		switch code := status(err); {
		case err == nil:
			taken++
		case code != http.StatusPreconditionFailed && code != http.StatusConflict:
			return fmt.Errorf("s3: %w", err)
		}
	}
	if taken != 1 {
		return want("1 of 8 writes with one If-Match", "%d", taken)
	}
	_, err = put("without a condition", nil, nil)
	unconditional := r.mustDeny(err)
	_, err = r.bucket.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &r.bucket.name, Key: &key})
	return errors.Join(unconditional, r.mustDeny(err))
}
