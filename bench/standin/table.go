package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	minidyn "github.com/truora/minidyn/server"

	"oncegate/internal/config"
)

// newTable returns a DynamoDB of one table, that of the settings in build/edge. It keeps items in
// memory and checks no signatures. What it does itself is not measured, but waited for.
func newTable() (http.Handler, error) {
	table := minidyn.NewServer()
	name := config.Config{Bucket: config.PlaceholderBucket}.Table()
	created := newAnswer()
	request, err := http.NewRequest(http.MethodPost, "/", strings.NewReader(fmt.Sprintf(`{"TableName":%q,"BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"k","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"k","KeyType":"RANGE"}]}`, name)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Amz-Target", "DynamoDB_20120810.CreateTable")
	table.ServeHTTP(created, request)
	if created.status != http.StatusOK {
		return nil, fmt.Errorf("create the table: %d %s", created.status, &created.body)
	}
	return table, nil
}

// answer keeps an answer of the table.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newAnswer() *answer { return &answer{header: http.Header{}, status: http.StatusOK} }

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

// tableOperation returns the name of the DynamoDB operation that is asked for, or "".
func tableOperation(r *http.Request) string {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return operation
}

// answerTable answers a request to the table as DynamoDB does: with these headers and a length.
func answerTable(w http.ResponseWriter, r *http.Request, table http.Handler, body []byte) {
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	answer := newAnswer()
	table.ServeHTTP(answer, again)
	h := w.Header()
	h.Set("Server", "Server")
	h.Set("Content-Type", "application/x-amz-json-1.0")
	h.Set("x-amzn-RequestId", "Q0VJH2V3E4LJ1J5L6M0F0S1B8NVV4KQNSO5AEMVJF66Q9ASUAAJG")
	h.Set("x-amz-crc32", "2745614147")
	w.WriteHeader(answer.status)
	w.Write(answer.body.Bytes())
}
