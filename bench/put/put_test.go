// Package put measures oncegate put through the local edge beside the same parts sent to the
// S3 server itself, and how much memory it takes. make bench-put runs it.
package put

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
)

const (
	program  = "../../bin/oncegate"
	parallel = 4
	part     = 8 << 20
)

func stack(b *testing.B) *testbed.Stack {
	b.Helper()
	if _, err := os.Stat(program); err != nil {
		b.Skip("there is no bin/oncegate: make bench-put builds it")
	}
	// The longest time there is: how often complete has to be asked for again is not measured.
	return testbed.New(b, func(s *testbed.Setup) { s.Settings["timeout"] = 30 })
}

// put uploads a file and returns how long it took and how much memory.
func put(b *testing.B, st *testbed.Stack, file string) (time.Duration, int64) {
	b.Helper()
	cmd := exec.Command(program, "put", "--multipart", "--json", "--distribution", st.Edge.URL(), "--parallel", strconv.Itoa(parallel), file)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+b.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	out, err := cmd.Output()
	took := time.Since(began)
	var done struct {
		Key      string
		Verified bool
	}
	if err != nil || json.Unmarshal(out, &done) != nil || !done.Verified {
		b.Fatalf("%v, %s%s", err, out, stderr.Bytes())
	}
	remove(b, st, done.Key)
	return took, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
}

// direct sends the same parts to the S3 server with presigned URLs, as many at a time, each
// with its MD5 and on its own connection as put does.
func direct(b *testing.B, st *testbed.Stack, file string, size int64) time.Duration {
	b.Helper()
	f, err := os.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	ctx := context.Background()
	client, bucket, key := s3servertest.Client(st.S3), aws.String(s3servertest.Bucket), aws.String("uploads/direct")
	presigner := s3.NewPresignClient(client)
	transport := &http.Transport{DisableKeepAlives: true}
	began := time.Now()
	created, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	if err != nil {
		b.Fatal(err)
	}
	parts := make([]types.CompletedPart, (size-1)/part+1)
	send := func(i int) error {
		number := aws.Int32(int32(i + 1))
		from := int64(i) * part
		content := func() *io.SectionReader { return io.NewSectionReader(f, from, min(part, size-from)) }
		sum := md5.New()
		if _, err := io.Copy(sum, content()); err != nil {
			return err
		}
		signed, err := presigner.PresignUploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: created.UploadId, PartNumber: number})
		if err != nil {
			return err
		}
		request, err := http.NewRequest(http.MethodPut, signed.URL, content())
		if err != nil {
			return err
		}
		request.ContentLength = content().Size()
		request.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum.Sum(nil)))
		response, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("part %d: %s", i+1, response.Status)
		}
		parts[i] = types.CompletedPart{PartNumber: number, ETag: aws.String(response.Header.Get("Etag"))}
		return nil
	}
	numbers, errs := make(chan int), make([]error, len(parts))
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for i := range numbers {
				errs[i] = send(i)
			}
		})
	}
	for i := range parts {
		numbers <- i
	}
	close(numbers)
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			b.Fatal(err)
		}
	}
	if _, err := client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: key, UploadId: created.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	remove(b, st, *key)
	return took
}

// remove deletes every version of an object: the disk is not what is measured.
func remove(b *testing.B, st *testbed.Stack, key string) {
	b.Helper()
	client, bucket := s3servertest.Client(st.S3), aws.String(s3servertest.Bucket)
	list, err := client.ListObjectVersions(context.Background(), &s3.ListObjectVersionsInput{Bucket: bucket, Prefix: &key})
	if err != nil {
		b.Fatal(err)
	}
	for _, v := range list.Versions {
		if _, err := client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: bucket, Key: &key, VersionId: v.VersionId}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRate sends 1 GiB in both ways in turns.
func BenchmarkRate(b *testing.B) {
	const size = 1 << 30
	st := stack(b)
	file := filepath.Join(b.TempDir(), "file")
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{}), size); err != nil {
		b.Fatal(err)
	}
	f.Close()
	var puts, directs, ratios []float64
	one := func() float64 { took, _ := put(b, st, file); return size / 1e6 / took.Seconds() }
	other := func() float64 { return size / 1e6 / direct(b, st, file, size).Seconds() }
	for i := 0; b.Loop(); i++ {
		var p, d float64
		if i%2 == 0 {
			p, d = one(), other()
		} else {
			d, p = other(), one()
		}
		b.Logf("put %.0f MB/s, direct %.0f MB/s, ratio %.2f; load %s", p, d, p/d, load())
		puts, directs, ratios = append(puts, p), append(directs, d), append(ratios, p/d)
	}
	b.ReportMetric(median(puts), "put-MB/s")
	b.ReportMetric(median(directs), "direct-MB/s")
	b.ReportMetric(median(ratios), "put/direct")
	b.ReportMetric(0, "ns/op") // says nothing
}

// BenchmarkMemory sends files of four sizes. This process is the edge, but for the functions
// in Node, which see no bodies.
func BenchmarkMemory(b *testing.B) {
	st := stack(b)
	for _, size := range []int64{1 << 20, 64 << 20, 1 << 30, 5 << 30} {
		b.Run(fmt.Sprintf("%dMiB", size>>20), func(b *testing.B) {
			file := filepath.Join(b.TempDir(), "file")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				b.Fatal(err)
			}
			if err := os.Truncate(file, size); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // begins the peak anew
				_, cli := put(b, st, file)
				b.ReportMetric(float64(cli)/1e6, "cli-MB")
				b.ReportMetric(float64(peak())/1e6, "edge-MB")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak is the largest resident set of this process; 0 where it is not known.
func peak() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	found := highWater.FindSubmatch(status)
	if found == nil {
		return 0
	}
	kb, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return kb << 10
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	return string(bytes.TrimSpace(text))
}

func median(n []float64) float64 {
	n = slices.Sorted(slices.Values(n))
	return (n[(len(n)-1)/2] + n[len(n)/2]) / 2
}
