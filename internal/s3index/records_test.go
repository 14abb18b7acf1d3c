//go:build !js

package s3index_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
)

// TestHeadObject: the edge reads of an upload what the SDK reads, from a real server.
func TestHeadObject(t *testing.T) {
	var current atomic.Pointer[s3server.Fault]
	server := s3servertest.New(t, func(o *s3server.Options) {
		o.Fault = func(*http.Request) s3server.Fault {
			if fault := current.Load(); fault != nil {
				return *fault
			}
			return s3server.Fault{}
		}
	})
	client := s3servertest.Client(server)
	wire, sdk := wireClient(t, server.URL(), testKey).Records(), sdkClient(server.URL(), testKey).Ledger()
	const key = "uploads/an-object"
	const limit = 10 * time.Second
	both := func(what string) (onetime.Object, error) {
		t.Helper()
		a, aErr := wire.HeadObject(t.Context(), limit, key)
		b, bErr := sdk.HeadObject(t.Context(), limit, key)
		if !a.Modified.Equal(b.Modified) || errors.Is(aErr, onetime.ErrAbsent) != errors.Is(bErr, onetime.ErrAbsent) || (aErr == nil) != (bErr == nil) {
			t.Errorf("%s: %+v, %v; the SDK says %+v, %v", what, a, aErr, b, bErr)
		}
		a.Modified, b.Modified = time.Time{}, time.Time{}
		if a != b {
			t.Errorf("%s: %+v; the SDK says %+v", what, a, b)
		}
		return a, aErr
	}
	if _, err := both("nothing"); !errors.Is(err, onetime.ErrAbsent) {
		t.Errorf("of nothing: %v", err)
	}
	const sum = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9" // of "hello world"
	raw, _ := hex.DecodeString(sum)
	for _, checksum := range []*string{aws.String(base64.StdEncoding.EncodeToString(raw)), nil} {
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(s3servertest.Bucket), Key: aws.String(key), Body: strings.NewReader("hello world"), ChecksumSHA256: checksum,
		})
		if err != nil {
			t.Fatal(err)
		}
		object, err := both("an object")
		if err != nil || object.Size != 11 || object.ETag != `"5eb63bbbe01eeed093cb22bb8f5acdc3"` || object.Version == "" || (object.SHA256 == sum) != (checksum != nil) {
			t.Errorf("%+v, %v", object, err)
		}
	}
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: aws.String(key)}); err != nil {
		t.Fatal(err)
	}
	if _, err := both("under a delete marker"); !errors.Is(err, onetime.ErrAbsent) {
		t.Errorf("under a delete marker: %v", err)
	}

	for _, fault := range []s3server.Fault{{Kind: s3server.Answer, Status: 403}, {Kind: s3server.Answer, Status: 500}, {Kind: s3server.Drop}, {Kind: s3server.Answer, Status: 200}} {
		current.Store(&fault)
		_, err := wire.HeadObject(t.Context(), limit, key)
		found, ok := errors.AsType[*onetime.Fault](err)
		if !ok || found.Op != "HeadObject" || found.Status != fault.Status {
			t.Errorf("%v %d: %v, want a fault", fault.Kind, fault.Status, err)
		}
	}
}
