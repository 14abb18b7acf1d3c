package stack

import (
	"archive/zip"
	"fmt"
	"io/fs"
	"os"
)

// What Lambda takes of code: zipped, from CloudFront's quotas, and unzipped, from Lambda's.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const (
	maxZipped   = 50 << 20
	maxUnzipped = 250 << 20
)

// checkSize returns an error if the directory is too large for the code of a function. AWS
// would say so only when the distribution is made.
func checkSize(dir string) error {
	files := os.DirFS(dir)
	var unzipped int64
	if err := fs.WalkDir(files, ".", func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			unzipped += info.Size()
		}
		return err
	}); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	if unzipped > maxUnzipped {
		return tooLarge(dir, unzipped, "", maxUnzipped)
	}
	var zipped counter
	w := zip.NewWriter(&zipped)
	if err := w.AddFS(files); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	if zipped > maxZipped {
		return tooLarge(dir, int64(zipped), " zipped", maxZipped)
	}
	return nil
}

func tooLarge(dir string, is int64, how string, most int64) error {
	return fmt.Errorf("%s is %.1f MB%s, the quota for the code of a function is %d MB: find what has been added to it", dir, float64(is)/(1<<20), how, most>>20)
}

// counter counts what is written.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
