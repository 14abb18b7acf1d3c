package main

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func ask(t *testing.T, s *standIn, method, path, body string, header ...string) (status int, answer string) {
	t.Helper()
	url, _ := s.addresses()
	r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, string(text)
}

// TestAsS3: the stand-in answers like S3 where the candidates rely on it.
func TestAsS3(t *testing.T) {
	s, err := startStandIn(filepath.Join(t.TempDir(), "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		method, path, body string
		header             []string
		status             int
		answer             string // must be in it
	}{
		{"HEAD", "/b/signatures/expired/1", "", nil, 404, ""},
		{"GET", "/b/signatures/valid/1", "", nil, 404, "<Code>NoSuchKey</Code>"},
		{"PUT", "/b/signatures/valid/1", "hello", nil, 200, ""},
		{"GET", "/b/signatures/valid/1", "", nil, 200, "hello"},
		{"PUT", "/b/signatures/expired/1", "1", []string{"If-None-Match", "*"}, 200, ""},
		{"PUT", "/b/signatures/expired/1", "2", []string{"If-None-Match", "*"}, 412, "<Code>PreconditionFailed</Code>"},
		{"PUT", "/b/signatures/expired/1", "3", nil, 200, ""},
		{"HEAD", "/b/signatures/expired/1", "", nil, 200, ""},
		{"GET", "/b/?versions&prefix=signatures/expired/1", "", nil, 200, "<VersionId>00000000000000000000000000000003</VersionId><IsLatest>true</IsLatest>"},
		{"GET", "/b/?versions&prefix=signatures/expired/1", "", nil, 200, "<VersionId>00000000000000000000000000000002</VersionId><IsLatest>false</IsLatest>"},
	} {
		status, answer := ask(t, s, step.method, step.path, step.body, step.header...)
		if status != step.status || !strings.Contains(answer, step.answer) {
			t.Errorf("%s %s: %d %q, want %d with %q", step.method, step.path, status, answer, step.status, step.answer)
		}
	}
	if got := s.counts().Requests; got["PUT signatures/expired/"] != 3 || got["LIST"] != 2 || got["HEAD signatures/expired/"] != 2 {
		t.Errorf("counted %v", got)
	}
}

// TestHeadLength: Node keeps a connection open only if the answer says where it ends.
func TestHeadLength(t *testing.T) {
	s, err := startStandIn("")
	if err != nil {
		t.Fatal(err)
	}
	url, _ := s.addresses()
	res, err := http.Head(url + "/b/signatures/expired/1")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound || res.ContentLength <= 0 {
		t.Errorf("HEAD of what is not there: %d with length %d, want 404 with the length of the error", res.StatusCode, res.ContentLength)
	}
}

// TestTrips: requests that wait at the same time are one trip.
func TestTrips(t *testing.T) {
	s, err := startStandIn("")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.reset(200*time.Millisecond, 0); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { ask(t, s, "HEAD", "/b/signatures/valid/1", "") })
	}
	both.Wait()
	ask(t, s, "PUT", "/b/signatures/expired/1", "")
	if c := s.counts(); c.Trips != 2 || c.BytesIn == 0 || c.BytesOut == 0 {
		t.Errorf("counted %+v, want 2 trips", c)
	}
}

// TestAsDynamoDB: the stand-in grants one claim of an item, shows the item to whoever comes
// later, as DynamoDB does, and counts the requests.
func TestAsDynamoDB(t *testing.T) {
	s, err := startStandIn("")
	if err != nil {
		t.Fatal(err)
	}
	const claim = `{"TableName":"oncegate-placeholder-index","Key":{"p":{"S":"url#a"},"k":{"S":"a1"}},"UpdateExpression":"SET nonce = :n",
		"ConditionExpression":"attribute_not_exists(nonce)","ExpressionAttributeValues":{":n":{"S":"%"}},
		"ReturnValues":"ALL_NEW","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`
	target := []string{"X-Amz-Target", "DynamoDB_20120810.UpdateItem"}
	for _, step := range []struct {
		nonce  string
		status int
		answer string
	}{{"1", 200, `"Attributes":{`}, {"2", 400, "ConditionalCheckFailedException"}, {"3", 400, `"nonce":{"S":"1"}`}} {
		status, answer := ask(t, s, "POST", "/", strings.ReplaceAll(claim, "%", step.nonce), target...)
		if status != step.status || !strings.Contains(answer, step.answer) {
			t.Errorf("claim %s: %d %s", step.nonce, status, answer)
		}
	}
	if n := s.counts().Requests["UpdateItem"]; n != 3 {
		t.Errorf("%d requests are counted", n)
	}
}
