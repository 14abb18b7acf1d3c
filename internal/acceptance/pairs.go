package acceptance

import (
	"encoding/json"
	"net/url"

	"oncegate/internal/onetime"
)

// MetaPairs and TagPairs are onetime.Meta and onetime.Tags as events have them: an object, whose
// members the pattern of a rule can name.
type (
	MetaPairs string
	TagPairs  string
)

// MarshalJSON implements json.Marshaler.
func (p MetaPairs) MarshalJSON() ([]byte, error) { return json.Marshal(onetime.Meta(p).Values()) }

// MarshalJSON implements json.Marshaler.
func (p TagPairs) MarshalJSON() ([]byte, error) { return json.Marshal(onetime.Tags(p).Values()) }

// UnmarshalJSON implements json.Unmarshaler.
func (p *MetaPairs) UnmarshalJSON(text []byte) error {
	pairs, err := queryOf(text)
	if err != nil {
		return err
	}
	meta, err := onetime.ParseMeta(pairs)
	*p = MetaPairs(meta)
	return err
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *TagPairs) UnmarshalJSON(text []byte) error {
	pairs, err := queryOf(text)
	if err != nil {
		return err
	}
	tags, err := onetime.ParseTags(pairs)
	*p = TagPairs(tags)
	return err
}

// queryOf writes the members of an object of texts as a query.
func queryOf(text []byte) (string, error) {
	var values map[string]string
	if err := json.Unmarshal(text, &values); err != nil {
		return "", err
	}
	query := url.Values{}
	for name, value := range values {
		query.Set(name, value)
	}
	return query.Encode(), nil
}
