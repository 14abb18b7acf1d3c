package s3sdk_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
	"oncegate/internal/s3sdk"
)

const limit = 10 * time.Second

func ledger(server *s3server.Server) *s3sdk.Ledger {
	provider := credentials.NewStaticCredentialsProvider(s3servertest.AccessKey, s3servertest.SecretKey, "")
	return s3sdk.New(s3servertest.Bucket, s3servertest.Region, server.URL(), provider).Ledger()
}

func store(t testing.TB, client *s3.Client, key, content string) (version string) {
	t.Helper()
	out, err := client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(s3servertest.Bucket), Key: &key, Body: strings.NewReader(content),
	})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.VersionId)
}

func TestObjects(t *testing.T) {
	server := s3servertest.New(t)
	client, l := s3servertest.Client(server), ledger(server)
	const key = "uploads/an-object"
	if _, err := l.HeadObject(t.Context(), limit, key); !errors.Is(err, onetime.ErrAbsent) {
		t.Errorf("head of nothing: %v", err)
	}
	const sum = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9" // of "hello world"
	raw, _ := base64.StdEncoding.DecodeString("uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=")
	if fmt.Sprintf("%x", raw) != sum {
		t.Fatal("the test has its sums wrong")
	}
	out, err := client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(s3servertest.Bucket), Key: aws.String(key), Body: strings.NewReader("hello world"),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(raw)),
	})
	if err != nil {
		t.Fatal(err)
	}
	first, err := l.HeadObject(t.Context(), limit, key)
	if err != nil || first.Size != 11 || first.SHA256 != sum || first.ETag != aws.ToString(out.ETag) || first.Version != aws.ToString(out.VersionId) {
		t.Errorf("%+v, %v", first, err)
	}
	if time.Since(first.Modified).Abs() > time.Hour {
		t.Errorf("modified %v", first.Modified)
	}
	store(t, client, key, "another")
	second, err := l.HeadObject(t.Context(), limit, key)
	if err != nil || second.SHA256 != "" || second.Size != 7 {
		t.Errorf("stored without a SHA-256: %+v, %v", second, err)
	}

	if err := l.HideObject(t.Context(), limit, key, first.ETag); !errors.Is(err, onetime.ErrChanged) {
		t.Errorf("hide what is not current: %v", err)
	}
	if err := l.HideObject(t.Context(), limit, key, second.ETag); err != nil {
		t.Errorf("hide: %v", err)
	}
	if _, err := l.HeadObject(t.Context(), limit, key); !errors.Is(err, onetime.ErrAbsent) {
		t.Errorf("head under a delete marker: %v", err)
	}
	if err := l.HideObject(t.Context(), limit, key, second.ETag); !errors.Is(err, onetime.ErrAbsent) {
		t.Errorf("hide what is hidden: %v", err)
	}
}

// TestLedgerFaults: what is no definite answer is a fault, with the status if there
// was one.
func TestLedgerFaults(t *testing.T) {
	var fault atomic.Pointer[s3server.Fault]
	fault.Store(&s3server.Fault{})
	server := s3servertest.New(t, func(o *s3server.Options) { o.Fault = func(*http.Request) s3server.Fault { return *fault.Load() } })
	l := ledger(server)
	for op, request := range map[string]func() error{
		"HeadObject":    func() error { _, err := l.HeadObject(t.Context(), limit, "uploads/x"); return err },
		"HideObject":    func() error { return l.HideObject(t.Context(), limit, "uploads/x", `"tag"`) },
		"DeleteExpired": func() error { return l.DeleteExpired(t.Context(), limit, "x", "v") },
		"ListEntries":   func() error { _, err := l.ListEntries(t.Context(), limit, onetime.ValidEntries, ""); return err },
	} {
		for _, status := range []int{0, 403, 429, 500, 503} {
			f := s3server.Fault{Kind: s3server.Answer, Status: status}
			if status == 0 {
				f.Kind = s3server.Drop
			}
			fault.Store(&f)
			err := request()
			if f, ok := errors.AsType[*onetime.Fault](err); !ok || f.Op != op || f.Status != status {
				t.Errorf("%s, %d: %v", op, status, err)
			} else if strings.Contains(err.Error(), "https response") {
				t.Errorf("%s, %d: more than an operator can read: %v", op, status, err)
			}
		}
	}
}

// TestListOverS3 lists some thousand entries; ONCEGATE_LIST_ENTRIES asks for more.
func TestListOverS3(t *testing.T) {
	n := 2000
	if text := os.Getenv("ONCEGATE_LIST_ENTRIES"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			t.Fatalf("ONCEGATE_LIST_ENTRIES=%q: want a positive number", text)
		}
	}
	server := s3servertest.New(t)
	l := ledger(server)
	now := time.Now().UTC().Truncate(time.Second)
	want := make([]string, n)
	var work sync.WaitGroup
	var failed sync.Map
	next := make(chan int)
	for range 8 {
		work.Go(func() {
			for i := range next {
				id := onetime.Fingerprint("/entry", strconv.Itoa(i))
				state, life := onetime.StateMinted, time.Hour
				if i%5 == 1 {
					state, life = onetime.StateExpired, time.Second
				}
				_, err := l.WriteValid(t.Context(), limit, id, onetime.ValidEntry{
					Version: 1, Created: now.Add(-time.Minute), Expires: now.Add(-time.Minute + life),
					Key: "uploads/123e4567-e89b-42d3-a456-426614174000",
				}.Marshal())
				if i%5 == 2 || i%5 == 3 {
					reason := onetime.Used
					if state = onetime.StateUsed; i%5 == 3 {
						state, reason = onetime.StateRevoked, onetime.Revoked
					}
					if err == nil {
						_, err = l.Claim(t.Context(), limit, id, reason, []byte("{}"))
					}
				}
				if err != nil {
					failed.Store(i, err)
				}
				want[i] = string(id) + " " + string(state)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	work.Wait()
	failed.Range(func(i, err any) bool { t.Fatalf("entry %v: %v", i, err); return false })
	slices.Sort(want)

	operator := &onetime.Operator{Ledger: l, Clock: clock{}, Entropy: onetimetest.NewEntropy(1)}
	for _, filter := range []onetime.Filter{{}, {State: onetime.StateUsed, Brief: true}} {
		server.ResetRequests()
		began := time.Now()
		var got []string
		for status, err := range operator.List(t.Context(), filter) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(status.ID)+" "+string(status.State))
		}
		took := time.Since(began)
		expect := want
		if filter.State != "" {
			expect = nil
			for _, line := range want {
				if strings.HasSuffix(line, string(filter.State)) {
					expect = append(expect, line)
				}
			}
		}
		if !slices.Equal(got, expect) {
			t.Errorf("%+v: %d rows, want %d", filter, len(got), len(expect))
		}
		t.Logf("%+v: %d rows in %v, %v", filter, len(got), took.Round(time.Millisecond), server.Requests())
	}
}

// clock is the real one.
type clock struct{}

func (clock) Now() time.Time { return time.Now() }

func (clock) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestPresignConcurrently is for the race detector: a client signs for several gates at a time.
// TestForeignNames: objects of any name beside oncegate's own stop no list. S3 escapes
// what XML cannot hold if it is asked to, which the local server does not:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
func TestForeignNames(t *testing.T) {
	id := strings.Repeat("0a", 32)
	names := []string{"", id, id + "\x01", "README.txt", "a b+c%20&d", "\u202e", "zz/"}
	s3 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		prefix, encoding := r.URL.Query().Get("prefix"), r.URL.Query().Get("encoding-type")
		element, root := "Contents", "ListBucketResult"
		if r.URL.Query().Has("versions") {
			element, root = "Version", "ListVersionsResult"
		}
		fmt.Fprintf(w, "<%s><EncodingType>%s</EncodingType><IsTruncated>false</IsTruncated>", root, encoding)
		for _, name := range names {
			key := prefix + name
			if encoding == "url" {
				key = strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
			}
			fmt.Fprintf(w, "<%s><Key>%s</Key><VersionId>v</VersionId></%s>", element, key, element)
		}
		fmt.Fprintf(w, "</%s>", root)
	}))
	defer s3.Close()
	provider := credentials.NewStaticCredentialsProvider(s3servertest.AccessKey, s3servertest.SecretKey, "")
	l := s3sdk.New(s3servertest.Bucket, s3servertest.Region, s3.URL, provider).Ledger()
	page, err := l.ListEntries(t.Context(), limit, onetime.ValidEntries, "")
	var got []string
	for _, e := range page.Entries {
		got = append(got, e.Name)
	}
	if err != nil || !slices.Equal(got, names) {
		t.Errorf("entries %q, %v, want %q", got, err, names)
	}
	keys, err := l.ListKeys(t.Context(), limit)
	if err != nil || !slices.Equal(keys, names) {
		t.Errorf("keys %q, %v, want %q", keys, err, names)
	}
	const upload = "uploads/7f1e2d3c-4b5a-4678-9abc-def012345678"
	versions, err := s3sdk.NewAcceptanceStore(s3servertest.Bucket, s3servertest.Region, s3.URL, "", provider).ListVersions(t.Context(), upload)
	if err != nil || len(versions) != 1 {
		t.Errorf("versions %v, %v, want the one of exactly this key", versions, err)
	}
}

func TestPresignConcurrently(t *testing.T) {
	client := s3sdk.New("a-bucket", "us-east-1", "", credentials.NewStaticCredentialsProvider("AKID", "secret", ""))
	var done sync.WaitGroup
	queries := make([]string, 8)
	for i := range queries {
		done.Go(func() {
			var err error
			queries[i], err = client.PresignUpload(t.Context(), fmt.Sprint("uploads/", i), nil, nil, time.Unix(0, 0), time.Minute)
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	slices.Sort(queries)
	if n := len(slices.Compact(queries)); n != 8 {
		t.Errorf("%d different queries of 8", n)
	}
}
