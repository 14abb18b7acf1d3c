package dynamo

import (
	"context"
	"time"

	"oncegate/internal/lean/wire"
)

// Table makes single requests to one DynamoDB table. It repeats nothing. An error means that
// no complete answer came within limit; every complete answer, whatever its status, is an
// Answer or a Page. Reads are strongly consistent.
type Table interface {
	// Get is GetItem. Attributes are those that are asked for, or all if there are none.
	Get(ctx context.Context, limit time.Duration, key Key, attributes ...string) (Answer, error)
	// Update is UpdateItem.
	Update(ctx context.Context, limit time.Duration, update Update) (Answer, error)
	// Query is Query for one page, in the order of the sort keys.
	Query(ctx context.Context, limit time.Duration, query Query) (Page, error)
}

// ErrStale is wrapped by a Table's error when the request went out on a reused connection
// that turned out to be dead.
var ErrStale = wire.ErrStale

// Key is the primary key of an item, the attributes "p" and "k".
type Key struct{ Partition, Sort string }

// Value is a string or, if Number is set, a number in digits.
type Value struct {
	Text   string
	Number bool
}

// Item is attributes by name. No name that is used is a reserved word of DynamoDB:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
type Item map[string]Value

// Update is one write to one item, which it creates if there is none, unless the condition
// says otherwise. If the condition fails, the Answer has the code ConditionFailed, and the item
// as it is.
type Update struct {
	Key
	Expression string // "SET a = :a REMOVE b"
	Condition  string // "" for none
	Values     Item   // what the two expressions name, with the colon
	Return     bool   // the whole item as it is after the write
}

// ConditionFailed is the Code of an Answer to an Update whose condition did not hold. Its
// Status is 400.
const ConditionFailed = "ConditionalCheckFailedException"

// Answer is what is read of an answer about one item. Item is nil if there is none.
type Answer struct {
	Status int
	Code   string // of a refusal, without its prefix, such as ConditionFailed
	Item   Item
	Date   string // the header date
}

// Query asks for the items of one partition whose sort keys come after After, Max of them
// at most. Only attributes that are named are returned, or all if there are none.
type Query struct {
	Partition, After string
	Max              int
	Attributes       []string
}

// Page is one page of items. More says that there are others, after the last one's key.
type Page struct {
	Status int
	Code   string // as in Answer
	Items  []Item
	More   bool
	// Last is the sort key that the next page begins after, if there are more.
	Last string
}
