package dynamoserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Request is one request to the table.
type Request struct {
	Operation string // such as UpdateItem
	// Partition and Sort are the key of the item that it is about, as far as it names one.
	Partition, Sort string
	// Names are the attributes that the request names, in order, those of the key too.
	Names []string

	parameters parameters
	context    map[string]string   // condition keys of IAM with one value
	lists      map[string][]string // and with several
	removed    []string            // attributes that an update removes
}

func (r Request) table() string { return r.parameters.TableName }

// value is an attribute as it travels: {"S": "text"} or {"N": "12"}.
type value map[string]any

type item map[string]value

// parameters are those of all operations that are played. Any other is refused.
type parameters struct {
	TableName                 string            `json:",omitempty"`
	Key                       item              `json:",omitempty"`
	Item                      item              `json:",omitempty"`
	ConsistentRead            bool              `json:",omitempty"`
	ExclusiveStartKey         item              `json:",omitempty"`
	ExpressionAttributeNames  map[string]string `json:",omitempty"`
	ExpressionAttributeValues item              `json:",omitempty"`

	ConditionExpression, UpdateExpression, ProjectionExpression string `json:",omitempty"`
	KeyConditionExpression, FilterExpression                    string `json:",omitempty"`

	Limit                               int    `json:",omitempty"`
	ScanIndexForward                    *bool  `json:",omitempty"`
	Select                              string `json:",omitempty"`
	ReturnValues                        string `json:",omitempty"`
	ReturnValuesOnConditionCheckFailure string `json:",omitempty"`
}

// target is what comes before an operation's name in the header x-amz-target.
const target = "DynamoDB_20120810."

// operations that are played, with whether they write.
var operations = map[string]bool{
	"DeleteItem": true, "DescribeTable": false, "GetItem": false, "PutItem": true, "Query": false, "Scan": false, "UpdateItem": true,
}

// read reads a request. If it refuses one, the Request says what is known of it.
func (o Options) read(r *http.Request, body []byte) (Request, error) {
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	request := Request{Operation: name, context: map[string]string{}, lists: map[string][]string{}}
	if _, known := operations[name]; !ok || !known || r.Method != http.MethodPost {
		return request, invalid("UnknownOperationException", "not played here")
	}
	p := &request.parameters
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return request, invalid("SerializationException", "not JSON, or a parameter that is not played here: "+err.Error())
	}
	request.Partition, request.Sort = p.Key.text(o.Partition), p.Key.text(o.Sort)
	if p.Item != nil {
		request.Partition, request.Sort = p.Item.text(o.Partition), p.Item.text(o.Sort)
	}
	if name == "Query" {
		request.Partition = p.partition(o.Partition)
	}
	for _, names := range [][]string{
		keys(p.Key), keys(p.Item), p.names(p.UpdateExpression), p.names(p.ConditionExpression), p.names(p.ProjectionExpression),
		p.names(p.KeyConditionExpression), p.names(p.FilterExpression),
	} {
		request.Names = append(request.Names, names...)
	}
	slices.Sort(request.Names)
	request.Names = slices.Compact(request.Names)
	o.describe(&request)
	return request, o.check(&request)
}

// describe sets the condition keys of IAM:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
//
// Attributes are those that an expression or the item names, and those of the key. Of what
// ReturnValues and ReturnValuesOnConditionCheckFailure return besides, it says nothing.
func (o Options) describe(r *Request) {
	p := r.parameters
	if r.Partition != "" {
		r.lists["dynamodb:leadingkeys"] = []string{r.Partition}
	}
	r.lists["dynamodb:attributes"] = r.Names
	if p.ReturnValues != "" {
		r.context["dynamodb:returnvalues"] = p.ReturnValues
	}
	switch {
	case r.Operation != "GetItem" && r.Operation != "Query" && r.Operation != "Scan":
	case p.Select != "":
		r.context["dynamodb:select"] = p.Select
	case p.ProjectionExpression != "":
		r.context["dynamodb:select"] = "SPECIFIC_ATTRIBUTES"
	default:
		r.context["dynamodb:select"] = "ALL_ATTRIBUTES"
	}
}

// check refuses what DynamoDB refuses and minidyn takes, and what minidyn would get wrong.
func (o Options) check(r *Request) error {
	p := r.parameters
	switch r.Operation {
	case "DescribeTable":
		return nil
	case "Query":
		if r.Partition == "" {
			return invalidf("Query condition missed key schema element: " + o.Partition)
		}
	case "Scan":
	default:
		if r.Partition == "" || r.Sort == "" {
			return invalidf("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value")
		}
	}
	if strings.Contains(r.Partition, ".") {
		return cannotPlay("a partition key with a dot")
	}
	if p.Select != "" && p.Select != "ALL_ATTRIBUTES" && p.Select != "SPECIFIC_ATTRIBUTES" {
		return cannotPlay("Select " + p.Select)
	}
	if forward := p.ScanIndexForward; forward != nil && !*forward {
		return cannotPlay("a query backwards")
	}
	for _, values := range []item{p.Item, p.ExpressionAttributeValues} {
		for name, v := range values {
			if err := v.check(); err != nil {
				return cannotPlay(name + ", " + err.Error())
			}
		}
	}
	for _, expression := range []string{p.UpdateExpression, p.ConditionExpression, p.KeyConditionExpression, p.FilterExpression} {
		for _, s := range path.FindAllString(expression, -1) {
			if _, given := p.ExpressionAttributeValues[s]; strings.HasPrefix(s, ":") && !given {
				return invalidf("Invalid expression: An expression attribute value used in expression is not defined; attribute value: " + s)
			}
		}
	}
	if r.Operation != "UpdateItem" {
		return nil
	}
	for _, clause := range clauses(p.UpdateExpression) {
		switch clause[0] {
		case "SET":
		case "REMOVE":
			for _, path := range clause[1:] {
				if strings.ContainsAny(path, ".[") {
					return cannotPlay("REMOVE of a part of an attribute")
				}
				r.removed = append(r.removed, p.name(path))
			}
		default:
			return cannotPlay(clause[0] + " in an update")
		}
	}
	return nil
}

func cannotPlay(what string) error { return invalidf("not played here: " + what) }

// check refuses what is neither a string nor a number, and numbers that a float64 cannot hold.
func (v value) check() error {
	s, isText := v["S"].(string)
	n, isNumber := v["N"].(string)
	switch {
	case len(v) == 1 && isText:
		if len(s) > maxItem {
			return fmt.Errorf("a string of %d bytes", len(s))
		}
		return nil
	case len(v) == 1 && isNumber && shortNumber.MatchString(n):
		return nil
	}
	return fmt.Errorf("a value that is neither a string nor a whole number of at most 15 digits")
}

var shortNumber = regexp.MustCompile(`^-?[0-9]{1,15}$`)

// maxItem is DynamoDB's bound on an item, names and values:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
const maxItem = 400 << 10

// size is the item's as DynamoDB counts it, for strings and whole numbers.
func (i item) size() int {
	n := 0
	for name, v := range i {
		n += len(name)
		for kind, text := range v {
			if text, ok := text.(string); ok && kind == "N" {
				n += len(text)/2 + 2
			} else if ok {
				n += len(text)
			}
		}
	}
	return n
}

func (i item) text(name string) string {
	s, _ := i[name]["S"].(string)
	return s
}

func keys(i item) (names []string) {
	for name := range i {
		names = append(names, name)
	}
	return names
}

var (
	// path is the path of an attribute, a function's name, a keyword or a placeholder of a value.
	path = regexp.MustCompile(`[:#]?[A-Za-z0-9_]+(?:\.#?[A-Za-z0-9_]+|\[[0-9]+\])*`)
	// word is a keyword or a function's name in a condition or an update.
	word = regexp.MustCompile(`^(?i:SET|REMOVE|ADD|DELETE|AND|OR|NOT|BETWEEN|IN)$|^(attribute_exists|attribute_not_exists|attribute_type|begins_with|contains|size|if_not_exists|list_append)$`)
)

// names returns the attributes that an expression names.
func (p parameters) names(expression string) (names []string) {
	for _, s := range path.FindAllString(expression, -1) {
		if !strings.HasPrefix(s, ":") && !word.MatchString(s) {
			names = append(names, p.name(s))
		}
	}
	return names
}

// name is the attribute that a path begins with.
func (p parameters) name(path string) string {
	if end := strings.IndexAny(path, ".["); end >= 0 {
		path = path[:end]
	}
	if strings.HasPrefix(path, "#") {
		return p.ExpressionAttributeNames[path]
	}
	return path
}

var equals = regexp.MustCompile(`(#?[A-Za-z0-9_]+)\s*=\s*(:[A-Za-z0-9_]+)`)

// partition is the partition that a query asks for.
func (p parameters) partition(key string) string {
	for _, m := range equals.FindAllStringSubmatch(p.KeyConditionExpression, -1) {
		if p.name(m[1]) == key {
			return p.ExpressionAttributeValues.text(m[2])
		}
	}
	return ""
}

// clauses takes an update apart: each clause is its keyword and then the paths in it.
func clauses(update string) (all [][]string) {
	for _, s := range path.FindAllString(update, -1) {
		switch upper := strings.ToUpper(s); upper {
		case "SET", "REMOVE", "ADD", "DELETE":
			all = append(all, []string{upper})
		default:
			if len(all) > 0 {
				all[len(all)-1] = append(all[len(all)-1], s)
			}
		}
	}
	return all
}
