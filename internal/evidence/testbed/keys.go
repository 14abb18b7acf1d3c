package testbed

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"oncegate/internal/auth/apikey"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/s3index"
	"oncegate/internal/s3sdk"
)

// APIKey makes an API key that the deployment takes. No answer and no line of a log may
// hold it.
func (st *Stack) APIKey(t testing.TB, label string) (key string, id apikey.ID) {
	t.Helper()
	key, err := apikey.New(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if id, err = apikey.Parse(key); err != nil {
		t.Fatal(err)
	}
	st.Secret(key[4:])
	record, err := apikey.NewRecord(label, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	index := s3index.New(s3sdk.New(s3servertest.Bucket, s3servertest.Region, st.S3.URL(),
		credentials.NewStaticCredentialsProvider(s3servertest.AccessKey, s3servertest.SecretKey, "")))
	if err := index.CreateKey(t.Context(), 10*time.Second, string(id), record.Marshal()); err != nil {
		t.Fatal(err)
	}
	return key, id
}
