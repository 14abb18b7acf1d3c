package s3sdk_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/acceptance"
	"oncegate/internal/local/s3server/s3servertest"
)

// partBytes is the least size of a part.
const partBytes = 5 << 20

// upload stores content in two parts, as the gate's clients do.
func upload(t *testing.T, client *s3.Client, key string, content []byte) (version, etag string) {
	t.Helper()
	bucket := aws.String(s3servertest.Bucket)
	created, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: bucket, Key: &key, ContentType: aws.String("text/x-test"), CacheControl: aws.String("no-store"), Metadata: map[string]string{"mine": "yes"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var parts []types.CompletedPart
	for number := int32(1); len(content) > 0; number++ {
		n := min(2*partBytes, len(content))
		part, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket, Key: &key, UploadId: created.UploadId, PartNumber: &number, Body: bytes.NewReader(content[:n])})
		if err != nil {
			t.Fatal(err)
		}
		parts, content = append(parts, types.CompletedPart{PartNumber: &number, ETag: part.ETag}), content[n:]
	}
	done, err := client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: bucket, Key: &key, UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(done.VersionId), aws.ToString(done.ETag)
}

// TestCopyInParts: each step of a copy in parts, of the version that it names, and what
// S3 says where the upload, the version or the place is not as it was.
func TestCopyInParts(t *testing.T) {
	server := s3servertest.New(t)
	client, a := s3servertest.Client(server), acceptanceStore(server)
	ctx := t.Context()
	content := []byte(strings.Repeat("0123456789abcdef", (3*partBytes+16)/16))
	first, _ := upload(t, client, uploadKey, content)
	store(t, client, uploadKey, "another")
	source, err := a.HeadVersion(ctx, uploadKey, first)
	if err != nil || source.Size != int64(len(content)) || !strings.HasSuffix(source.ETag, `-2"`) || source.CRC64NVME == "" {
		t.Fatalf("%+v, %v", source, err)
	}
	source.Tags = map[string]string{"project": "blue", "cost center": "4+2 / ü"}
	begin := func() string {
		t.Helper()
		id, err := a.BeginCopy(ctx, source, acceptedKey)
		if err != nil || id == "" {
			t.Fatalf("begin: %q, %v", id, err)
		}
		return id
	}
	copyAll := func(id string) (parts []acceptance.Part) {
		t.Helper()
		for i := 0; i < len(content); i += partBytes {
			n := min(partBytes, len(content)-i)
			part, err := a.CopyPart(ctx, source, acceptedKey, id, i/partBytes+1, int64(i), int64(n))
			if err != nil || part.Number != i/partBytes+1 || part.Size != int64(n) || part.ETag == "" {
				t.Fatalf("part at %d: %+v, %v", i, part, err)
			}
			parts = append(parts, part)
		}
		return parts
	}
	one, other := begin(), begin()
	if parts, err := a.CopiedParts(ctx, acceptedKey, one); err != nil || len(parts) != 0 {
		t.Errorf("parts of a new one: %v, %v", parts, err)
	}
	parts := copyAll(one)
	copyAll(one) // again replaces them
	if got, err := a.CopiedParts(ctx, acceptedKey, one); err != nil || !slices.Equal(got, parts) {
		t.Errorf("parts %+v, %v\nwant  %+v", got, err, parts)
	}
	late := copyAll(other)

	// Another size than the source's makes no object.
	wrong := source
	wrong.Size++
	if err := a.CompleteCopy(ctx, wrong, acceptedKey, one, parts); err == nil || errors.Is(err, acceptance.ErrExists) || errors.Is(err, acceptance.ErrAbsent) {
		t.Errorf("complete with another size: %v", err)
	}
	if _, err := a.HeadAccepted(ctx, acceptedKey); !errors.Is(err, acceptance.ErrAbsent) {
		t.Fatalf("complete with another size has made an object: %v", err)
	}
	if err := a.CompleteCopy(ctx, source, acceptedKey, one, parts); err != nil {
		t.Fatal(err)
	}
	got, err := a.HeadAccepted(ctx, acceptedKey)
	if err != nil || got.Size != source.Size || got.CRC64NVME != source.CRC64NVME || got.Metadata["mine"] != "yes" ||
		got.Metadata[acceptance.VersionMetadata] != first || `"`+got.Metadata[acceptance.ETagMetadata]+`"` != source.ETag || !maps.Equal(got.Headers, source.Headers) || !strings.HasSuffix(got.ETag, `-4"`) {
		t.Errorf("the copy is %+v, %v\nof %+v", got, err, source)
	}
	if class := s3servertest.StorageClass(t, server, acceptedKey); class != "GLACIER_IR" {
		t.Errorf("the copy is in class %q", class)
	}
	if tags := s3servertest.Tags(t, server, acceptedKey); !maps.Equal(tags, source.Tags) {
		t.Errorf("the copy has the tags %v, want %v", tags, source.Tags)
	}
	// Two calls, one object.
	if err := a.CompleteCopy(ctx, source, acceptedKey, other, late); !errors.Is(err, acceptance.ErrExists) {
		t.Errorf("complete where there is an object: %v", err)
	}
	if err := a.DropCopy(ctx, acceptedKey, other); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"drop": a.DropCopy(ctx, acceptedKey, other), "complete": a.CompleteCopy(ctx, source, acceptedKey[:len(acceptedKey)-1]+"1", other, late),
		"list": func() error { _, err := a.CopiedParts(ctx, acceptedKey, other); return err }(),
		"copy": func() error { _, err := a.CopyPart(ctx, source, acceptedKey, other, 1, 0, partBytes); return err }(),
	} {
		if !errors.Is(err, acceptance.ErrAbsent) {
			t.Errorf("%s of an upload that is gone: %v", what, err)
		}
	}
	id := begin()
	gone := source
	gone.Version = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
	if _, err := a.CopyPart(ctx, gone, acceptedKey, id, 1, 0, partBytes); !errors.Is(err, acceptance.ErrAbsent) {
		t.Errorf("copy of a version that is gone: %v", err)
	}
}

// TestAcceptanceInPartsOverS3: three calls at once accept an upload in parts, over a real
// server: one object, no parts left.
func TestAcceptanceInPartsOverS3(t *testing.T) {
	server := s3servertest.New(t)
	client, a := s3servertest.Client(server), acceptanceStore(server)
	content := []byte(strings.Repeat("0123456789abcdef", (3*partBytes+16)/16))
	first, etag := upload(t, client, uploadKey, content)
	b := &bus{}
	acceptor := &acceptance.Acceptor{Bucket: s3servertest.Bucket, Store: a, Bus: b, OneCopy: partBytes, PartBytes: partBytes}
	hint := acceptance.Hint{Bucket: s3servertest.Bucket, Key: uploadKey, Version: first}
	var work sync.WaitGroup
	for range 3 {
		work.Go(func() {
			for range 3 { // who was overtaken is called again
				if _, err := acceptor.Accept(t.Context(), hint); err == nil {
					return
				}
			}
			t.Error("not accepted in three tries")
		})
	}
	work.Wait()
	left, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String(s3servertest.Bucket)})
	if err != nil || len(left.Uploads) != 0 {
		t.Errorf("uploads are left: %+v, %v", left, err)
	}
	versions, err := a.ListVersions(t.Context(), acceptedKey)
	if err != nil || len(versions) != 1 || versions[0].Size != int64(len(content)) {
		t.Errorf("accepted: %v, %v", versions, err)
	}
	if len(b.events) == 0 {
		t.Error("nothing was announced")
	}
	for _, e := range b.events {
		if e.Version != first || e.Size != int64(len(content)) || `"`+e.UploadETag+`"` != etag || e.Parts != 2 || e.CRC64NVME == "" || !strings.HasSuffix(e.ETag, "-4") {
			t.Errorf("announced %+v, of %s", e, etag)
		}
	}
}
