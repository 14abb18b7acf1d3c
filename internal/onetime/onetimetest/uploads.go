package onetimetest

import (
	"context"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/onetime"
)

var _ onetime.Movable = (*Index)(nil)

// WriteUpload implements onetime.UploadIndex.
func (x *Index) WriteUpload(_ context.Context, limit time.Duration, key string, body []byte) error {
	return x.do("WriteUpload", limit, "", func() error {
		x.Store.Put(layout.UploadEntry(key), Entry{Body: body}, false)
		return nil
	})
}

// ReadUpload returns the body of the upload entry of this upload, or onetime.ErrAbsent.
func (x *Index) ReadUpload(_ context.Context, limit time.Duration, key string) (body []byte, err error) {
	err = x.do("ReadUpload", limit, "", func() error {
		entry, exists, _ := x.Store.Current(layout.UploadEntry(key))
		if !exists {
			return onetime.ErrAbsent
		}
		body = entry.Body
		return nil
	})
	return body, err
}
