package client_test

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"oncegate/internal/client"
	"oncegate/internal/onetime"
)

// deployment stands in for one: it makes one URL, and takes one upload with it.
func deployment() *httptest.Server {
	used := false
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/url":
			json.NewEncoder(w).Encode(map[string]any{
				"url": "http://" + r.Host + path + "?" + query, "id": onetime.Fingerprint(path, query), "expiresAt": "2026-03-01T12:01:00Z",
			})
		case used:
			w.Header().Set("x-oncegate-reason", "used")
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"message":"Forbidden: this URL has already been used."}`)
		default:
			used = true
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("etag", fmt.Sprintf("%q", fmt.Sprintf("%x", md5.Sum(body))))
		}
	}))
}

// Ask a deployment for a URL and upload with it. After every failure FateOf says what
// became of the URL.
func Example() {
	server := deployment()
	defer server.Close()
	ctx := context.Background()

	d, err := client.New(server.URL, client.Credential{})
	if err != nil {
		log.Fatal(err)
	}
	minted, err := d.Mint(ctx, url.Values{"expires": {"60"}})
	if err != nil {
		log.Fatal(err)
	}
	u := minted.URLs[0]
	fmt.Println("object", u.Key)

	upload := func(content string) (client.Stored, error) {
		return client.Put(ctx, client.Upload{URL: u, Body: strings.NewReader(content), Size: int64(len(content))})
	}
	stored, err := upload("a photo")
	fmt.Println(stored.Size, stored.ETag, stored.Unverified == "", err)

	_, err = upload("another photo")
	fmt.Println(err)
	fmt.Println(client.FateOf(err))
	// Output:
	// object uploads/7f1e2d3c-4b5a-4678-9abc-def012345678
	// 7 1e171d1320221d0ef1133a398fb1d4be true <nil>
	// Forbidden: this URL has already been used
	// useless
}

// An altered URL is found before anything is sent. The error does not repeat it.
func ExampleParseURL() {
	u, err := client.ParseURL(" https://uploads.example.com" + path + "?" + query + "\n")
	fmt.Println(u.Key, err)

	_, err = client.ParseURL("https://uploads.example.com" + path + "?" + strings.ReplaceAll(query, "&", "&amp;"))
	fmt.Println(err)
	// Output:
	// uploads/7f1e2d3c-4b5a-4678-9abc-def012345678 <nil>
	// not a URL as oncegate makes it: its & were written &amp; as in HTML: copy it again
}

// Fate decides what to do next.
func ExampleFateOf() {
	for _, err := range []error{
		&client.Refusal{Status: 413, Reason: onetime.TooLarge},
		&client.Refusal{Status: 403, Reason: onetime.Expired},
		&client.Refusal{Status: 502},
		errors.New("something else"),
	} {
		switch client.FateOf(err) {
		case client.Good:
			fmt.Println("correct the request and send it again")
		case client.Useless, client.Spent, client.Broken:
			fmt.Println("nothing was stored: get a new URL")
		case client.Unknown:
			fmt.Println("ask the operator whether it was stored")
		}
	}
	// Output:
	// correct the request and send it again
	// nothing was stored: get a new URL
	// ask the operator whether it was stored
	// ask the operator whether it was stored
}
