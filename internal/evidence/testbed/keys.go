package testbed

import (
	"crypto/rand"
	"testing"
	"time"

	"oncegate/internal/auth/apikey"
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
	if err := st.Records().CreateKey(t.Context(), 10*time.Second, string(id), record.Marshal()); err != nil {
		t.Fatal(err)
	}
	return key, id
}
