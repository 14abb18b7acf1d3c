package edge_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"oncegate/edge"
	"oncegate/internal/lean/strictjson"
)

// FuzzParseEvent holds the reading of events to encoding/json and the tags of Event:
// what is read means the same there. Not read is more: see package strictjson. Names
// in other letters than CloudFront's and fields given twice are nothing that a
// JavaScript object can be turned into.
func FuzzParseEvent(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no events in testdata")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, s := range []string{
		`{}`, `{"Records":null}`, `{"Records":[null,{}]}`, `{"Records":[{"cf":null}]}`, `{"Records":[{"cf":{"config":1}}]}`,
		`{"Records":[{"cf":{"request":{"method":null,"headers":{"a":null,"b":[],"c":[null],"d":[{"value":"x"}],"e":[{"key":1}]}}}}]}`,
		`{"Records":[{"cf":{"request":{"headers":null,"body":{"inputTruncated":true,"data":"x","encoding":"text","action":"read-only"}}}}]}`,
		`{"Records":[{"cf":{"rEquest":{"body":{"inputTruncated":"true"}}}}]}`, `{"Records":null,"Records":1}`,
		`{"Records":[{"cf":{"request":{"body":{"inputTruncated":"true"}}}}]}`, `{"Records":[{"cf":{"request":{"body":null,"uri":"/é"}}}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := edge.ParseEvent(text)
		var want edge.Event
		wantErr := json.Unmarshal([]byte(text), &want)
		if err == nil && wantErr != nil && asCloudFront(t, text) {
			t.Fatalf("%s is read; encoding/json says %v", text, wantErr)
		}
		if again, marshalErr := json.Marshal(want); wantErr == nil && marshalErr == nil {
			// Back in the one spelling there is, both must agree.
			got, err := edge.ParseEvent(string(again))
			var back edge.Event
			if json.Unmarshal(again, &back) != nil || err != nil || !reflect.DeepEqual(canonical(got), canonical(back)) {
				t.Errorf("%s is read as %+v, %v, want %+v", again, got, err, back)
			}
		}
	})
}

// asCloudFront tells whether no name in a document is there twice or is one of an
// event's in other letters, which encoding/json takes for it.
func asCloudFront(t *testing.T, text string) bool {
	names := []string{
		"Records", "cf", "config", "distributionDomainName", "distributionId", "eventType", "requestId", "request", "clientIp",
		"headers", "key", "value", "method", "querystring", "uri", "body", "inputTruncated", "action", "encoding", "data",
	}
	var fine func(v strictjson.Value) bool
	fine = func(v strictjson.Value) bool {
		_, twice := v.Twice()
		return !twice && !slices.ContainsFunc(v.Members, func(m strictjson.Member) bool {
			return !fine(m.Value) || slices.ContainsFunc(names, func(name string) bool {
				return m.Name != name && strings.EqualFold(m.Name, name)
			})
		})
	}
	document, err := strictjson.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return fine(document)
}

// canonical takes away what makes no difference: a list that is empty or nil.
func canonical(event edge.Event) string {
	text, _ := json.Marshal(event)
	return strings.ReplaceAll(string(text), ":null", ":[]")
}

// FuzzMarshalResult holds the writing of results to encoding/json.
func FuzzMarshalResult(f *testing.F) {
	f.Add("200", "OK", "x-oncegate-reason", "used", "a \"body\" <&>", "a=b&c=d", "authorization")
	f.Add("", "", "", "", "", "", "")
	f.Fuzz(func(t *testing.T, status, description, name, value, body, query, drop string) {
		headers := edge.Headers{name: {{Value: value}, {Key: name, Value: body}}}
		for _, result := range []edge.Result{
			{}, {Response: &edge.Response{Status: status}}, {Forward: &edge.Forward{Querystring: query}},
			{Response: &edge.Response{Status: status, StatusDescription: description, Headers: headers, Body: body}},
			{Forward: &edge.Forward{Querystring: query, Drop: []string{drop, name}, Set: headers}},
		} {
			theirs, err := json.Marshal(result)
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			if err := json.Unmarshal(edge.MarshalResult(result), &got); err != nil {
				t.Fatalf("%s: %v", edge.MarshalResult(result), err)
			}
			if err := json.Unmarshal(theirs, &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("written as %s, want %s", edge.MarshalResult(result), theirs)
			}
		}
	})
}

// TestStatusTexts: each text is the one that RFC 9110 has, and every refusal has a text.
func TestStatusTexts(t *testing.T) {
	texts := 0
	for status := range 600 {
		text := edge.StatusText(status)
		if text == "" {
			continue
		}
		texts++
		if want := http.StatusText(status); text != want {
			t.Errorf("status %d is %q, want %q", status, text, want)
		}
	}
	if texts != 13 {
		t.Errorf("%d statuses have a text, want the 13 of edge/http.go", texts)
	}
	for reason, row := range edge.Refusals {
		if edge.StatusText(edge.RowStatus(row)) == "" {
			t.Errorf("%s: status %d has no text", reason, edge.RowStatus(row))
		}
	}
}
