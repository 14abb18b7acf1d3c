package edge

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/lean/ascii"
	"oncegate/internal/lean/strictjson"
	"oncegate/internal/lean/urlquery"
	"oncegate/internal/onetime"
)

// option is something that may be asked of mint, by query or by JSON body.
type option struct {
	name string
	set  func(o *orders, value string) error
}

// options are all of them. A value that is not a number becomes -1, which the domain
// refuses with the bounds that hold here.
var options = []option{
	{"expires", func(o *orders, v string) error { o.Life = time.Duration(number(v)) * time.Second; return nil }},
	{"maxBytes", func(o *orders, v string) error { o.Limits.MaxBytes = positive(size(v)); return nil }},
	{"minBytes", func(o *orders, v string) error { o.Limits.MinBytes = size(v); o.Empty = v == "0"; return nil }},
	{"type", func(o *orders, v string) error { o.Limits.Type = ascii.Lower(v); return present("type", v) }},
	{"sha256", func(o *orders, v string) (err error) { o.Limits.SHA256, err = onetime.ParseSHA256(v); return err }},
	{"name", func(o *orders, v string) error { o.Name = v; return present("name", v) }},
	{"label", func(o *orders, v string) error { o.Label = v; return present("label", v) }},
	{"prefix", func(o *orders, v string) error { o.Prefix = v; return present("prefix", v) }},
	{"meta", func(o *orders, v string) error { o.Meta = onetime.AnyMeta(v); return present("meta", v) }},
	{"tags", func(o *orders, v string) error { o.Tags = onetime.AnyTags(v); return present("tags", v) }},
	{"count", func(o *orders, v string) error { o.count = number(v); return nil }},
}

// set reads the value of the option with this name.
func (o *orders) set(name, value string) error {
	known := ""
	for _, option := range options {
		if option.name == name {
			return option.set(o, value)
		}
		known += ", " + option.name
	}
	return errors.New("there is an unknown option; known are " + known[2:])
}

// orders is a number of equal orders.
type orders struct {
	onetime.Order
	count int64 // 0: one, and the answer is a single object
}

// parseOrders reads what is asked for: the query of a GET, the JSON body of a POST.
// Its errors are refusals that say which option is wrong.
func parseOrders(request *Request, maxCount int) (o orders, err error) {
	values, err := optionValues(request)
	if err != nil {
		return o, err
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sortStrings(names) // same event, same answer
	for _, name := range names {
		if err := o.set(name, values[name]); err != nil {
			return o, refuseOption(err)
		}
	}
	if _, given := values["expires"]; given && o.Life == 0 {
		o.Life = -time.Second // asked for no life at all, which is not the same as not asked
	}
	if _, given := values["count"]; given && (o.count < 1 || o.count > int64(maxCount)) {
		return o, refuseOption(fmt.Errorf("count: want 1 to %d", maxCount))
	}
	return o, nil
}

func optionValues(request *Request) (map[string]string, error) {
	if request.Method == methodPost {
		if request.Querystring != "" {
			return nil, refuseOption(errors.New("POST takes its options in the body, not in the query"))
		}
		return bodyValues(request)
	}
	query, err := urlquery.Parse(request.Querystring)
	if err != nil {
		return nil, refuseOption(errors.New("the query cannot be read: want name=value pairs with &"))
	}
	values := map[string]string{}
	for name, all := range query {
		if len(all) != 1 {
			return nil, refuseOption(errors.New("an option is given twice"))
		}
		values[name] = all[0]
	}
	return values, nil
}

// bodyObject reads a body that must be one JSON object.
func bodyObject(request *Request) (strictjson.Value, error) {
	wrong := refuseOption(errors.New("POST wants one JSON object of options, with content-type application/json"))
	kind := request.Headers.Values("content-type")
	if len(kind) != 1 || mediaType(kind[0]) != "application/json" {
		return strictjson.Value{}, wrong
	}
	if request.Body == nil || request.Body.InputTruncated {
		return strictjson.Value{}, wrong
	}
	body := []byte(request.Body.Data)
	if request.Body.Encoding == "base64" {
		var err error
		if body, err = base64.StdEncoding.DecodeString(request.Body.Data); err != nil {
			return strictjson.Value{}, wrong
		}
	}
	document, err := strictjson.Parse(string(body))
	if err != nil || document.Kind != strictjson.Object {
		return strictjson.Value{}, wrong
	}
	return document, nil
}

// bodyValues reads a JSON object of strings and numbers.
func bodyValues(request *Request) (map[string]string, error) {
	document, err := bodyObject(request)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, option := range document.Members {
		if _, twice := values[option.Name]; twice {
			return nil, refuseOption(errors.New("an option is given twice"))
		}
		switch text, ok := option.Text(); {
		case ok:
			values[option.Name] = text
		case option.Kind == strictjson.Number:
			values[option.Name] = option.Raw
		default:
			return nil, refuseOption(errors.New("the values of options are strings and numbers"))
		}
	}
	return values, nil
}

// refuseOption makes a refusal that tells the client err. err names the option and
// what is allowed, and repeats nothing of what was sent.
func refuseOption(err error) error {
	return &onetime.Refusal{Reason: onetime.Options, Detail: err.Error()}
}

// number reads a whole number as people write it; anything else is -1. As many seconds
// still fit a time.Duration.
func number(s string) int64 { return whole(s, 34) }

// size is number for bytes, of which an upload may have trillions.
func size(s string) int64 { return whole(s, 44) }

func whole(s string, bits int) int64 {
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil || strconv.FormatInt(n, 10) != s {
		return -1
	}
	return n
}

// positive makes -1 of 0. It is for an option where 0 would mean "not given".
func positive(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

func present(name, value string) error {
	if value == "" {
		return errors.New(name + ": want a value, or omit the option")
	}
	return nil
}

// mediaType is the type of a content-type or accept value, without parameters.
func mediaType(value string) string {
	essence, _, _ := strings.Cut(value, ";")
	return ascii.Lower(ascii.Trim(essence))
}
