package s3wire

import (
	"errors"
	"fmt"

	"oncegate/internal/lean/urlquery"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
)

// parseVersions reads a ListVersionsResult. Versions and delete markers come mixed,
// and their order is what the first-version rule goes by, so both are read as one
// sequence: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
func parseVersions(body string) (s3index.Page, error) {
	fail := func(err error) (s3index.Page, error) {
		return s3index.Page{}, fmt.Errorf("list of versions: %w", err)
	}
	result, err := parseXML(body)
	if err != nil {
		return fail(err)
	}
	if result.name != "ListVersionsResult" {
		return fail(fmt.Errorf("a %q", result.name))
	}
	page := s3index.Page{Status: 200}
	for _, child := range result.children {
		if child.name != "Version" && child.name != "DeleteMarker" {
			continue
		}
		key, err := child.text("Key")
		if err == nil {
			key, err = urlquery.Unescape(key)
		}
		if err != nil {
			return fail(err)
		}
		id, err := child.text("VersionId")
		if err != nil {
			return fail(err)
		}
		page.Versions = append(page.Versions, s3index.KeyVersion{
			Key:     key,
			Version: onetime.Version{ID: id, DeleteMarker: child.name == "DeleteMarker"},
		})
	}
	more, err := result.truncated()
	if err != nil {
		return fail(err)
	}
	if !more {
		return page, nil
	}
	key, err := result.text("NextKeyMarker")
	if err == nil {
		key, err = urlquery.Unescape(key)
	}
	if err != nil || key == "" {
		return fail(errors.New("truncated without a NextKeyMarker"))
	}
	id, err := result.text("NextVersionIdMarker")
	if err != nil {
		return fail(err)
	}
	page.Next = &s3index.Marker{Key: key, VersionID: id}
	return page, nil
}
