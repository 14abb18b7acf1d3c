package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	"oncegate/client"
)

// Ask a deployment for a URL and upload with it. After a failure the error says what became of the URL.
func Example() {
	ctx := context.Background()
	server := inMemory(nil)
	defer server.Close()

	deployment, err := client.New(server.URL, client.Credential{})
	if err != nil {
		log.Fatal(err)
	}
	url, err := deployment.Mint(ctx, client.Options{"expires": "60"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(url.Key)

	photo := strings.NewReader("a photo")
	stored, err := client.UploadBody(ctx, url, photo, photo.Size(), client.Upload{Type: "image/jpeg"})
	fmt.Println(stored.Size, stored.ETag, err)

	_, err = client.UploadBody(ctx, url, photo, photo.Size(), client.Upload{})
	if refused, ok := errors.AsType[*client.Error](err); ok {
		fmt.Println(refused.Status, refused.Reason, refused.Fate)
		fmt.Println(refused)
	}
	// Output:
	// uploads/7f1e2d3c-4b5a-4678-9abc-def012345678
	// 7 1e171d1320221d0ef1133a398fb1d4be <nil>
	// 403 used useless
	// Forbidden: this URL has already been used
}

// An altered URL is found before anything is sent. The error does not repeat it.
func ExampleParseURL() {
	_, err := client.ParseURL("https://uploads.example.com" + path + "?" + strings.ReplaceAll(query, "&", "&amp;"))
	fmt.Println(err)
	// Output:
	// not a URL as oncegate makes it: its & were written &amp; as in HTML: copy it again
}

// What to do next depends on what became of the URL.
func ExampleFate() {
	for _, fate := range []client.Fate{client.Good, client.Spent, client.Unknown} {
		switch fate {
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
}
