package onetime

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"oncegate/internal/layout"
	"oncegate/internal/lean/strictjson"
)

// Tags are what a minter has S3 tag the object with, written as Meta is. That is the form of the
// header x-amz-tagging too. Only ParseTags makes one, so that two with the same tags are equal.
type Tags string

// Bounds of Tags. S3 takes 10 tags of an object, and acceptance needs one for itself. The bytes are
// those of the header, escapes included: with what a viewer may send it stays below the 8 KB of
// headers that S3 takes with a PUT.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
const (
	MaxTags      = 9
	MaxTagsBytes = 1024
)

// taggingHeader has the tags of an upload. S3 does not take them from the query:
// https://github.com/aws/aws-sdk-go-v2/issues/1017
const taggingHeader = "x-amz-tagging"

var errTags = fmt.Errorf("tags: want up to %d pairs key=value with & between them, encoded as in a query; a key is "+layout.TagKeyRule+
	", and comes once; a value is 1 to 256 of the same characters; encoded, all have at most %d bytes", MaxTags, MaxTagsBytes)

// ParseTags reads tags in any order and any spelling. "" has none. Its error is for the client.
func ParseTags(s string) (Tags, error) {
	all, ok := parsePairs(s, MaxTags, func(key, value string) bool {
		return layout.ValidTagKey(key) && layout.ValidTagValue(value)
	})
	if !ok || len(all) > MaxTagsBytes {
		return "", errTags
	}
	return Tags(all), nil
}

// AnyTags is ParseTags for those who call Check later: of what cannot be read, Check says so.
func AnyTags(s string) Tags {
	if t, err := ParseTags(s); err == nil {
		return t
	}
	return Tags(s)
}

// Check is an error unless ParseTags has made t.
func (t Tags) Check() error {
	parsed, err := ParseTags(string(t))
	if err == nil && parsed != t {
		err = errors.New("tags: not in the form in which they are stored")
	}
	return err
}

// Values are the values by their keys, nil if there are none.
func (t Tags) Values() map[string]string { return pairs(t).values() }

// WriteIf writes the tags as an object with this name, if there are any.
func (t Tags) WriteIf(w *strictjson.Writer, name string) { pairs(t).writeIf(w, name) }

// CheckTags wants tags that can be some, all with keys that are in Tags, or none. Its error is
// for the client.
func (b Bounds) CheckTags(t Tags) error {
	switch {
	case t == "":
		return nil
	case len(b.Tags) == 0:
		return errors.New("tags: not enabled here; set \"tags\" in config.json")
	}
	err := t.Check()
	if err == nil {
		pairs(t).each(func(key, _ string) {
			if !slices.Contains(b.Tags, key) {
				err = errors.New("tags: allowed are " + strings.Join(b.Tags, ", "))
			}
		})
	}
	return err
}
