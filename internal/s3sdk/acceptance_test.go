package s3sdk_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/acceptance"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/s3sdk"
)

const (
	uploadKey   = "uploads/123e4567-e89b-42d3-a456-426614174000"
	acceptedKey = "accepted/123e4567-e89b-42d3-a456-426614174000"
)

func acceptanceStore(server *s3server.Server) *s3sdk.AcceptanceStore {
	provider := credentials.NewStaticCredentialsProvider(s3servertest.AccessKey, s3servertest.SecretKey, "")
	return s3sdk.NewAcceptanceStore(s3servertest.Bucket, s3servertest.Region, server.URL(), "GLACIER_IR", provider)
}

// TestAcceptanceStore: everything that package acceptance asks of S3, and what the
// answers mean.
func TestAcceptanceStore(t *testing.T) {
	server := s3servertest.New(t)
	client, a := s3servertest.Client(server), acceptanceStore(server)
	ctx := t.Context()
	if _, err := a.HeadAccepted(ctx, acceptedKey); !errors.Is(err, acceptance.ErrAbsent) {
		t.Errorf("head of nothing: %v", err)
	}
	if versions, err := a.ListVersions(ctx, uploadKey); err != nil || len(versions) != 0 {
		t.Errorf("versions of nothing: %v, %v", versions, err)
	}
	if _, err := a.ReadUpload(ctx, uploadKey); !errors.Is(err, acceptance.ErrAbsent) {
		t.Errorf("entry of nothing: %v", err)
	}
	const sum = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9" // of "hello world"
	raw, _ := hex.DecodeString(sum)
	out, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(s3servertest.Bucket), Key: aws.String(uploadKey), Body: strings.NewReader("hello world"),
		ContentType: aws.String("text/x-test"), ContentDisposition: aws.String("attachment"), CacheControl: aws.String("no-store"),
		ContentLanguage: aws.String("la"), ContentEncoding: aws.String("identity"), Metadata: map[string]string{"mine": "yes"},
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(raw)),
	})
	if err != nil {
		t.Fatal(err)
	}
	first := aws.ToString(out.VersionId)
	store(t, client, uploadKey, "another")
	store(t, client, uploadKey+"x", "a neighbour")
	versions, err := a.ListVersions(ctx, uploadKey)
	if err != nil || len(versions) != 2 || versions[1] != (acceptance.Version{ID: first, Size: 11}) {
		t.Fatalf("versions %v, %v", versions, err)
	}
	source, err := a.HeadVersion(ctx, uploadKey, first)
	if err != nil || source.Version != first || source.Size != 11 || source.SHA256 != sum || source.ETag != aws.ToString(out.ETag) {
		t.Fatalf("%+v, %v", source, err)
	}
	source.Tags = map[string]string{"project": "blue", "cost center": "4+2 / ü"}
	copied, err := a.Copy(ctx, source, acceptedKey)
	if err != nil || copied == "" {
		t.Fatalf("copy: %q, %v", copied, err)
	}
	if class := s3servertest.StorageClass(t, server, acceptedKey); class != "GLACIER_IR" {
		t.Errorf("the copy is in class %q", class)
	}
	if tags := s3servertest.Tags(t, server, acceptedKey); !maps.Equal(tags, source.Tags) {
		t.Errorf("the copy has the tags %v, want %v", tags, source.Tags)
	}
	got, err := a.HeadAccepted(ctx, acceptedKey)
	if err != nil || got.Size != 11 || got.ETag != source.ETag || got.SHA256 != sum || got.Metadata["mine"] != "yes" ||
		got.Metadata[acceptance.VersionMetadata] != first || !maps.Equal(got.Headers, source.Headers) || len(got.Headers) != 5 {
		t.Errorf("the copy is %+v, %v\nof %+v", got, err, source)
	}

	tags, err := a.Tags(ctx, uploadKey, first)
	if err != nil || len(tags) != 0 {
		t.Errorf("tags %v, %v", tags, err)
	}
	want := map[string]string{acceptance.Tag: acceptance.TagValue, "other": "x"}
	if err := a.SetTags(ctx, uploadKey, first, want); err != nil {
		t.Error(err)
	}
	if tags, err := a.Tags(ctx, uploadKey, first); err != nil || !maps.Equal(tags, want) {
		t.Errorf("tags %v, %v", tags, err)
	}
	if tags, err := a.Tags(ctx, uploadKey, versions[0].ID); err != nil || len(tags) != 0 {
		t.Errorf("tags of the other version: %v, %v", tags, err)
	}

	// Consumed.
	if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: aws.String(acceptedKey)}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.HeadAccepted(ctx, acceptedKey); !errors.Is(err, acceptance.ErrConsumed) {
		t.Errorf("head of what was consumed: %v", err)
	}
	if old, err := a.HeadVersion(ctx, acceptedKey, copied); err != nil || old.Metadata[acceptance.VersionMetadata] != first {
		t.Errorf("its version: %+v, %v", old, err)
	}

	// Gone.
	if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: aws.String(uploadKey), VersionId: &first}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.HeadVersion(ctx, uploadKey, first); !errors.Is(err, acceptance.ErrAbsent) {
		t.Errorf("head of a version that is gone: %v", err)
	}
	if _, err := a.Tags(ctx, uploadKey, first); !errors.Is(err, acceptance.ErrAbsent) {
		t.Errorf("tags of a version that is gone: %v", err)
	}
	if err := a.SetTags(ctx, uploadKey, first, want); !errors.Is(err, acceptance.ErrAbsent) {
		t.Errorf("tag a version that is gone: %v", err)
	}
	if _, err := a.Copy(ctx, source, acceptedKey); !errors.Is(err, acceptance.ErrAbsent) {
		t.Errorf("copy a version that is gone: %v", err)
	}
}

type bus struct {
	mu     sync.Mutex
	events []acceptance.Event
}

func (b *bus) Announce(_ context.Context, e acceptance.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
	return nil
}

// TestAcceptanceOverS3: two at once, over a real server, for the same upload and for
// a late one.
func TestAcceptanceOverS3(t *testing.T) {
	server := s3servertest.New(t)
	client, a := s3servertest.Client(server), acceptanceStore(server)
	first := store(t, client, uploadKey, "first")
	late := store(t, client, uploadKey, "late")
	b := &bus{}
	acceptor := &acceptance.Acceptor{Bucket: s3servertest.Bucket, Store: a, Bus: b}
	var work sync.WaitGroup
	for _, v := range []string{first, late, first} {
		work.Go(func() {
			r, err := acceptor.Accept(t.Context(), acceptance.Hint{Bucket: s3servertest.Bucket, Key: uploadKey, Version: v})
			if err != nil || r.First != first || r.Late != (v == late) {
				t.Errorf("%s: %+v, %v", v, r, err)
			}
		})
	}
	work.Wait()
	got, err := a.HeadAccepted(t.Context(), acceptedKey)
	if err != nil || got.Metadata[acceptance.VersionMetadata] != first || got.Size != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, e := range b.events {
		if e.Version != first || e.Size != 5 || e.Accepted != acceptedKey || time.Since(e.At).Abs() > time.Hour {
			t.Errorf("announced %+v", e)
		}
	}
	if len(b.events) == 0 {
		t.Error("nothing was announced")
	}
}
