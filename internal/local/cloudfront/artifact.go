package cloudfront

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Lambda's bounds on the code of a function, in bytes. What is zipped may be no larger at
// the edge, viewer events included.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const (
	maxZipped   = 50e6
	maxUnzipped = 250e6
)

// zipOverhead is more than a zip needs for the name and the sizes of one file.
const zipOverhead = 1 << 10

// checkSize says what is too large about the code in dir, or "". Where there is no such
// directory it says nothing: whoever runs the code does.
func checkSize(dir string) (string, error) {
	var total, most int64
	code := os.DirFS(dir)
	err := fs.WalkDir(code, ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		most += info.Size() + zipOverhead
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case total > maxUnzipped:
		return fmt.Sprintf("%d bytes: Lambda takes %d", total, int(maxUnzipped)), nil
	case most <= maxZipped:
		return "", nil // whatever a zip makes of it
	}
	zipped := &counter{}
	w := zip.NewWriter(zipped)
	if err := errors.Join(w.AddFS(code), w.Close()); err != nil {
		return "", err
	}
	if zipped.n > maxZipped {
		return fmt.Sprintf("%d bytes as a zip: Lambda@Edge takes %d", zipped.n, int(maxZipped)), nil
	}
	return "", nil
}

// counter counts what is written.
type counter struct{ n int64 }

var _ io.Writer = (*counter)(nil)

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}
