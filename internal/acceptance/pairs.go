package acceptance

import (
	"encoding/json"
	"net/url"

	"oncegate/internal/onetime"
)

// Pairs are onetime.Meta as events have them: an object, whose members the pattern of a rule can
// name.
type Pairs string

// MarshalJSON implements json.Marshaler.
func (p Pairs) MarshalJSON() ([]byte, error) { return json.Marshal(onetime.Meta(p).Values()) }

// UnmarshalJSON implements json.Unmarshaler.
func (p *Pairs) UnmarshalJSON(text []byte) error {
	var values map[string]string
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	query := url.Values{}
	for name, value := range values {
		query.Set(name, value)
	}
	meta, err := onetime.ParseMeta(query.Encode())
	*p = Pairs(meta)
	return err
}
