package verify

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/onetime"
)

// accessLogRegion is where the deploy makes the bucket of access logs.
const accessLogRegion = "us-east-1"

// How much of the access logs is read: the newest files, and of each at most so much.
const (
	accessLogFiles = 20
	accessLogBytes = 64 << 20
)

// accessLog looks at the uploads that CloudFront's access logs tell of: whether the query
// is the viewer's or that which the gate made of it. AWS says "the query string portion of
// the request URL", which can be read either way:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html
func (r *run) accessLog(ctx context.Context) error {
	name := r.o.LogBucket
	if name == "" {
		return skip("no --log-bucket: it is only there with accessLogs")
	}
	o := r.o
	o.Bucket, o.Region = name, accessLogRegion
	logs := newBucket(o)
	files, err := logs.newestLogs(ctx)
	if err != nil {
		return denied("s3:ListBucket on "+name, err)
	}
	uploads := 0
	for _, key := range files {
		n, signed, err := logs.uploadsIn(ctx, key)
		if err != nil {
			return denied("s3:GetObject on "+name, fmt.Errorf("%s: %w", key, err))
		}
		if signed {
			return want("uploads as viewers sent them", "%s holds queries that the gate signed, with the session token of its role: let nobody read this bucket, or turn accessLogs off", key)
		}
		uploads += n
	}
	if uploads == 0 {
		return skip("no upload in the newest %d log files: CloudFront delivers some minutes after a request, sometimes a day", len(files))
	}
	r.observe("%d uploads in %d log files", uploads, len(files))
	return nil
}

// newestLogs returns the keys of the newest log files.
func (b *bucket) newestLogs(ctx context.Context) ([]string, error) {
	var newest []types.Object
	for pages := s3.NewListObjectsV2Paginator(b.s3, &s3.ListObjectsV2Input{Bucket: &b.name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			if strings.HasSuffix(aws.ToString(o.Key), ".gz") {
				newest = append(newest, o)
			}
		}
		slices.SortFunc(newest, func(a, b types.Object) int {
			return cmp.Or(aws.ToTime(b.LastModified).Compare(aws.ToTime(a.LastModified)), cmp.Compare(aws.ToString(b.Key), aws.ToString(a.Key)))
		})
		newest = newest[:min(len(newest), accessLogFiles)]
	}
	var keys []string
	for _, o := range newest {
		keys = append(keys, aws.ToString(o.Key))
	}
	return keys, nil
}

// uploadsIn counts the uploads that a log file tells of, and reports whether one of them
// has a query that the gate signed.
func (b *bucket) uploadsIn(ctx context.Context, key string) (uploads int, signed bool, err error) {
	out, err := b.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		return 0, false, err
	}
	defer out.Body.Close()
	unpacked, err := gzip.NewReader(out.Body)
	if err != nil {
		return 0, false, err
	}
	return uploadsOf(io.LimitReader(unpacked, accessLogBytes))
}

// uploadsOf reads one log file. Only what was answered 200 came through the gate: anybody
// may send a PUT with any query.
func uploadsOf(file io.Reader) (uploads int, signed bool, err error) {
	var fields []string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if names, ok := strings.CutPrefix(lines.Text(), "#Fields:"); ok {
			fields = strings.Fields(names)
		}
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		line := map[string]string{}
		for i, value := range strings.Split(lines.Text(), "\t") {
			if i < len(fields) {
				line[fields[i]] = value
			}
		}
		if line["cs-method"] != "PUT" || line["sc-status"] != "200" {
			continue
		}
		uploads++
		signed = signed || !isMinted(line["cs-uri-query"])
	}
	return uploads, signed, lines.Err()
}

// isMinted reports whether a query is as the mint made it: with its access key, which no
// account has, and without a session token.
func isMinted(raw string) bool {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return false
	}
	credential, err := url.QueryUnescape(query.Get("X-Amz-Credential")) // CloudFront escapes once more
	return err == nil && strings.HasPrefix(credential, onetime.MintedAccessKey+"/") && !query.Has("X-Amz-Security-Token")
}
