// Command go uploads a file with a one-time URL, with net/http alone.
//
//	ONCEGATE_URL=http://localhost:8080 go run ./examples/go photo.jpg
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) != 2 || os.Getenv("ONCEGATE_URL") == "" {
		fmt.Fprintln(os.Stderr, "usage: ONCEGATE_URL=https://… go run ./examples/go FILE")
		os.Exit(2)
	}
	if err := upload(os.Getenv("ONCEGATE_URL"), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func upload(oncegate, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	minted, err := mint(oncegate, map[string]any{"name": filepath.Base(path), "minBytes": info.Size(), "maxBytes": max(info.Size(), 1)})
	if err != nil {
		return fmt.Errorf("mint: %w", err)
	}

	// A file has no GetBody, so net/http cannot repeat the PUT by itself.
	put, err := http.NewRequest(http.MethodPut, minted.URL, file)
	if err != nil {
		return err
	}
	put.ContentLength = info.Size() // S3 takes no chunked body
	if kind := mime.TypeByExtension(filepath.Ext(path)); kind != "" {
		put.Header.Set("Content-Type", kind)
	}
	for name, value := range minted.Headers {
		put.Header.Set(name, value)
	}
	// With this a refusal arrives before the body is sent.
	put.Header.Set("Expect", "100-continue")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ExpectContinueTimeout = 10 * time.Second
	answer, err := (&http.Client{Transport: transport}).Do(put)
	if err != nil {
		return fmt.Errorf("no answer, the file may be stored; ask the owner before you upload it again: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		fmt.Println("stored, version", answer.Header.Get("x-amz-version-id"))
		return nil
	}
	reason, sentence := answer.Header.Get("x-oncegate-reason"), answer.Status
	if reason != "" {
		text, _ := io.ReadAll(answer.Body)
		sentence = string(text)
	}
	switch reason {
	case "index-unavailable":
		return errors.New("nothing is spent, the same request may be sent again: " + sentence)
	case "used", "": // an earlier try got through; or CloudFront or S3 answered, not oncegate
		return errors.New("the file may be stored; ask the owner before you upload it again: " + sentence)
	}
	return errors.New("not stored: " + sentence)
}

type mintedURL struct {
	URL     string
	Headers map[string]string // to be sent with the upload
}

func mint(oncegate string, options map[string]any) (minted mintedURL, err error) {
	body, err := json.Marshal(options)
	if err != nil {
		return minted, err
	}
	ask, err := http.NewRequest(http.MethodPost, oncegate+"/url", bytes.NewReader(body))
	if err != nil {
		return minted, err
	}
	ask.Header.Set("Accept", "application/json")
	ask.Header.Set("Content-Type", "application/json")
	if key := os.Getenv("ONCEGATE_KEY"); key != "" { // with "auth": "api-key"
		ask.Header.Set("x-api-key", key)
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return minted, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return minted, fmt.Errorf("%s: %s", answer.Status, text)
	}
	return minted, json.NewDecoder(answer.Body).Decode(&minted)
}
